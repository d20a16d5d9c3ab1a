"""The version folder that is published: the SavedModel, its warmup file, complete or not at all."""
