"""One run: a network fitted on a part of Training, calibrated and validated on the rest of it."""
