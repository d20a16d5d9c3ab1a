"""The gRPC methods; a method that is missing here ends with UNIMPLEMENTED."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from portable_model_server.api import responses
from portable_model_server.api.calls import GRPC, CallRecorder, mapped_errors
from portable_model_server.errors import ServingError, grpc_details, invalid
from portable_model_server.serving.manager import ModelManager
from portable_model_server.serving.prediction import Predictor
from serving_api.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
)


class PredictionServicer:
    """tensorflow.serving.PredictionService: Predict and GetModelMetadata."""

    def __init__(self, manager: ModelManager, predictor: Predictor, recorder: CallRecorder) -> None:
        self._manager = manager
        self._predictor = predictor
        self._recorder = recorder

    def Predict(  # noqa: N802
        self, request: PredictRequest, context: grpc.ServicerContext
    ) -> PredictResponse:
        """Run a model."""
        with (
            _aborted_on_error(context),
            self._recorder.record(
                request.model_spec.name, "Predict", GRPC, lambda name: dict(context.invocation_metadata()).get(name)
            ),
        ):
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            with self._manager.hold(request.model_spec) as servable:
                return self._predictor.predict(servable, request)

    def GetModelMetadata(  # noqa: N802
        self, request: GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> GetModelMetadataResponse:
        """Describe a model's signatures."""
        with _aborted_on_error(context), mapped_errors():
            return responses.metadata(self._manager, request)


class ModelServicer:
    """tensorflow.serving.ModelService: GetModelStatus."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def GetModelStatus(  # noqa: N802
        self, request: GetModelStatusRequest, context: grpc.ServicerContext
    ) -> GetModelStatusResponse:
        """Report the states of a model's versions."""
        with _aborted_on_error(context), mapped_errors():
            return responses.status(self._manager, request)


@contextmanager
def _aborted_on_error(context: grpc.ServicerContext) -> Iterator[None]:
    """Run a block, and end the call with the code and message of the error that it raises."""
    try:
        yield
    except ServingError as error:
        context.abort(error.code, grpc_details(error.message))
