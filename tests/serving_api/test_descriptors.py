import pytest
from google.protobuf import text_format

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


def test_batching_parameters_read_a_file_as_tensorflow_serving_does():
    parameters = text_format.Parse(
        """
        max_batch_size { value: 32 }
        batch_timeout_micros { value: 0 }
        max_enqueued_batches { value: 8 }
        num_batch_threads { value: 4 }
        thread_pool_name { value: "batches" }
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 16 }
        allowed_batch_sizes: 8
        allowed_batch_sizes: 16
        pad_variable_length_inputs: true
        """,
        messages.BatchingParameters(),
    )
    assert parameters.HasField("batch_timeout_micros")
    assert not messages.BatchingParameters().HasField("batch_timeout_micros")
    # The wire's form, by the field numbers of the official file; lists of integers are packed.
    assert parameters.SerializeToString(deterministic=True) == (
        b"\x0a\x02\x08\x20"
        b"\x12\x00"
        b"\x1a\x02\x08\x08"
        b"\x22\x02\x08\x04"
        b"\x2a\x09\x0a\x07batches"
        b"\x32\x02\x08\x10"
        b"\x38\x01"
        b"\x42\x02\x08\x01"
        b"\x4a\x02\x08\x10"
    )
