"""What runs a model: OpenVINO or TensorFlow behind one interface."""
