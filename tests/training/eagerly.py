"""Deep networks without graphs, for a few steps of them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def eagerly() -> Iterator[None]:
    """A few steps of a deep network are not worth a graph."""
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            # TensorFlow reads and prepares the images in a graph all the same.
            warnings.filterwarnings("ignore", "Even though the .tf.config.experimental_run_functions_eagerly")
            yield
    finally:
        tf.config.run_functions_eagerly(False)
