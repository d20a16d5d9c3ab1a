"""What a trained network is worth, measured on images that it was not trained on."""
