"""The names in a data set's folder: the phantom writes them, and everything that reads a data set looks for them.

They are those of the Kaggle set "Brain Tumor MRI": Training/CLASS/IMAGE and Testing/CLASS/IMAGE. Other sets spell the
folders of the splits otherwise.
"""

TRAINING, TESTING = "Training", "Testing"
SPLITS = (TRAINING, TESTING)
VALIDATION = "Validation"  # no split here: each training holds out groups of its own to validate on
# The names of such folders in other data sets, in small letters.
FOLDER_NAMES = {
    TRAINING: ("training", "train"),
    TESTING: ("testing", "test"),
    VALIDATION: ("validation", "valid", "val"),
}
