"""A model's graph and its end, of Keras 3 or of TensorFlow, and what is changed in it."""
