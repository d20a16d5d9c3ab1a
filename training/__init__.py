"""From a folder of images to a Keras model and its model card; ``phantom`` makes such a folder."""

import os

# Set before anything here imports TensorFlow, whose notices about hardware would hide the lines for the user. Errors
# arrive as exceptions all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
