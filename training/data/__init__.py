"""A folder of images in the layout of the Kaggle set, checked, named and read."""
