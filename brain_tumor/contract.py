"""The SavedModel's signatures and tensors, which the converter writes and the gateway calls.

Both sides take these names from here. Class names and image size come from the model's metadata.
"""

from serving_api.names import DEFAULT_SIGNATURE
from serving_api.names import INT8_METADATA as INT8_METADATA
from serving_api.names import INT8_MODEL as INT8_MODEL
from serving_api.names import METADATA_ASSET as METADATA_ASSET

MODEL_NAME = "brain-tumor"

# serving_default: images to numbers.
PREDICT_SIGNATURE = DEFAULT_SIGNATURE
IMAGES = "images"  # uint8 (batch, height, width, 3), RGB
PROBABILITIES = "probabilities"  # float32 (batch, class)
OUT_OF_DISTRIBUTION = "out_of_distribution"  # float32 (batch,), the OOD score: higher is less like the training images
ACTIVATION_MAPS = "activation_maps"  # float32 (batch, map height, map width, class); only if the metadata says so

# describe: takes no image and gives the model's metadata, once for each query. Only a signature with an input can be
# batched and called over REST. Who calls it without one gets the SavedModel's default, a single query.
DESCRIBE_SIGNATURE = "describe"
QUERIES = "queries"  # string (batch,); their content is ignored
METADATA = "card"  # string (batch,), brain_tumor.metadata's JSON

RESEARCH_NOTICE = "For research only. Not a medical device; do not use for diagnosis."
PHANTOM_NOTICE = "This model was trained on synthetic phantom images, not on scans of people."
