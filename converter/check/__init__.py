"""What is compared before a model is published: the SavedModel with the model, the description with images."""
