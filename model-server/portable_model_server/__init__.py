"""A model server with TensorFlow Serving's APIs, flags and behaviour, for machines that cannot run its image."""
