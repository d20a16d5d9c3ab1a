import pytest

import serving_api
from serving_api import messages
from serving_api.services import MODEL_SERVICE, PREDICTION_SERVICE
from tests.serving_api.fresh_process import run


def test_messages_live_beside_tensorflow_s_own():
    output = run("""
from serving_api.messages import PredictRequest, TensorProto
from tensorflow.core.framework.tensor_pb2 import TensorProto as Official
from tensorflow_serving.apis.predict_pb2 import PredictRequest as OfficialRequest
ours = PredictRequest()
ours.model_spec.name = "m"
ours.model_spec.version.value = 3
ours.inputs["images"].CopyFrom(TensorProto(dtype=4, tensor_content=b"abc"))
theirs = OfficialRequest.FromString(ours.SerializeToString())
assert Official is not TensorProto
print(theirs.model_spec.name, theirs.model_spec.version.value, theirs.inputs["images"].tensor_content)
""")
    assert output.endswith("m 3 b'abc'")


def test_no_tensorflow_is_imported():
    output = run("""
import sys
import serving_api.messages, serving_api.services, serving_api.tensors
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "tensorflow_serving", "keras")))
""")
    assert output == "[]"


def test_methods_are_the_official_ones():
    assert PREDICTION_SERVICE.full_name == "tensorflow.serving.PredictionService"
    assert {method.name for method in PREDICTION_SERVICE.methods} == {
        "Classify",
        "Regress",
        "Predict",
        "MultiInference",
        "GetModelMetadata",
    }
    assert MODEL_SERVICE.full_name == "tensorflow.serving.ModelService"
    assert {method.name for method in MODEL_SERVICE.methods} == {"GetModelStatus", "HandleReloadConfigRequest"}


def test_metadata_packs_a_signature_map():
    packed = messages.GetModelMetadataResponse()
    signatures = messages.SignatureDefMap()
    signatures.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
    packed.metadata["signature_def"].Pack(signatures)
    unpacked = messages.SignatureDefMap()
    assert packed.metadata["signature_def"].Unpack(unpacked)
    assert unpacked == signatures


def test_unknown_message_and_service():
    with pytest.raises(KeyError):
        serving_api.message("tensorflow.serving.Nothing")
    with pytest.raises(KeyError):
        serving_api.service("tensorflow.serving.NoService")
