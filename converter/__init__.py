"""From a Keras model to a verified SavedModel that TensorFlow Serving and the portable server serve."""
