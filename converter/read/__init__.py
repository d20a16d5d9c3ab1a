"""A model as people have it, of any format, and its description."""
