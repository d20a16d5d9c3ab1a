"""The names in a data set's folder: the phantom writes them, and everything that reads a data set looks for them.

They are those of the Kaggle set "Brain Tumor MRI": Training/CLASS/IMAGE and Testing/CLASS/IMAGE.
"""

TRAINING, TESTING = "Training", "Testing"
SPLITS = (TRAINING, TESTING)
MANIFEST = "manifest.json"  # beside the two folders; says what each image is, with its SHA-256
