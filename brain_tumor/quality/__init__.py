"""How good a classifier is, and on which images that can be measured: for training, and for the converter's guard.

It needs SciPy and scikit-learn, which the gateway does not have and does not import.
"""
