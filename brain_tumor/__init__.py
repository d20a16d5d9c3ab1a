"""What the parts of the project agree on: the model's signature, its metadata, and how an image becomes pixels."""
