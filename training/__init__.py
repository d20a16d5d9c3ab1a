"""From a folder of pictures to a Keras model and its card; ``phantom`` makes such a folder."""
