"""Names that TensorFlow Serving gives to things outside its messages."""

# The signature that runs for a request that names none.
DEFAULT_SIGNATURE = "serving_default"
# Requests that a server runs while it loads a version; relative to the version's folder. Source:
# tensorflow_serving/servables/tensorflow/saved_model_warmup_util.h.
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
