"""The model card of an evaluated run: a document for people, and the same statements in the model's metadata."""
