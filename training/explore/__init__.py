"""What is in a data set, and what a classifier could learn from it that is not the disease."""
