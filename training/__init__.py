"""From a folder of images to a Keras model and its card; ``phantom`` makes such a folder."""

import os

# Before anything here imports TensorFlow: its notices about hardware hide the lines that are meant for the user, and
# what goes wrong arrives as an exception.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
