"""What the parts of the project agree on: the model's signature, its card, and how a picture becomes pixels."""
