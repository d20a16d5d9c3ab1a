"""What the commands end with on purpose; a module of its own, which costs no TensorFlow to import."""


class TrainingError(Exception):
    """What is the user's to mend; the message says how."""
