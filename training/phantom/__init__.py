"""A synthetic MRI data set in which only the tumour's shape and place tell the classes apart."""
