"""Names outside the messages: TensorFlow Serving's own, and those of this project's files beside a SavedModel.

Paths are relative to the folder of a model version.
"""

# The signature that runs for a request that names none.
DEFAULT_SIGNATURE = "serving_default"
# Requests that a server runs while it loads a version. Source:
# tensorflow_serving/servables/tensorflow/saved_model_warmup_util.h.
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"

# The model metadata, for readers without a graph runtime; the signature "describe" gives the same text.
METADATA_ASSET = "assets.extra/metadata.json"
# The int8 form, where there is one: OpenVINO's format, with the inputs and outputs of serving_default by their names,
# and the metadata that hold for it. TensorFlow Serving passes over both.
INT8_MODEL = "assets.extra/int8/model.xml"  # and model.bin beside it
INT8_METADATA = "assets.extra/int8/metadata.json"
