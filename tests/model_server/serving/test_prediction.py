"""What a prediction refuses, whatever the engine."""

from pathlib import Path

import grpc
import pytest

from portable_model_server.errors import ServingError
from portable_model_server.serving.prediction import Predictor
from portable_model_server.serving.versions import Servable
from portable_model_server.serving.warmup import Warmup
from serving_api.messages import PredictionLog, PredictRequest
from tests.model_server.fake_engine import INITIALISER, RefusingModel
from tests.model_server.models import write_warmup

PREDICTOR = Predictor(typed_fields=True, observe_engine=lambda *_: None)


@pytest.mark.parametrize(
    ("signature", "code", "message"),
    [
        (INITIALISER, grpc.StatusCode.OUT_OF_RANGE, "Node 'NoOp' does not have output 0"),
        ("other", grpc.StatusCode.UNIMPLEMENTED, "not here"),
        ("unknown", grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "unknown" not found.'),
    ],
)
def test_a_signature_that_cannot_be_run(signature: str, code: grpc.StatusCode, message: str) -> None:
    request = PredictRequest()
    request.model_spec.signature_name = signature
    with pytest.raises(ServingError) as caught:
        PREDICTOR.predict(Servable("m", 1, RefusingModel()), request)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_warmup_record_for_such_a_signature_is_passed_over(tmp_path: Path) -> None:
    """Its model serves the others; a record for an unknown signature fails, as in TensorFlow Serving."""
    warmup = Warmup(PREDICTOR, iterations=1)
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = "other"
    write_warmup(tmp_path, log.SerializeToString())
    warmup.run(tmp_path, RefusingModel())
    log.predict_log.request.model_spec.signature_name = "unknown"
    write_warmup(tmp_path, log.SerializeToString())
    with pytest.raises(ServingError, match="warmup record 1 failed"):
        warmup.run(tmp_path, RefusingModel())
