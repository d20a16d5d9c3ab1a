"""A synthetic MRI data set that a model can learn only by a tumour's shape and place.

The real set cannot ship with the project. Heads are solid functions of three coordinates, so that a slice in any
plane shows the same anatomy; everything but the lesion is drawn before its class is looked at.
"""
