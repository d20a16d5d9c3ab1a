"""What is wrong with a data set: copies, contradictory labels, and shortcuts to the class."""
