"""Names that TensorFlow Serving gives to things outside its messages."""

# The signature that a request without one means.
DEFAULT_SIGNATURE = "serving_default"
# Requests that a server answers for itself while it loads a version; relative to the version's folder. Source:
# tensorflow_serving/servables/tensorflow/saved_model_warmup_util.h.
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
