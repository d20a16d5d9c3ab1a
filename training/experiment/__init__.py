"""The whole way from images to a served model."""
