"""Makes a version ready to serve: the engine loads it, and the requests it brings along are run once.

The first prediction of a model is several times slower than later ones, so callers must not meet it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from portable_model_server.engine import Engine, EngineError, LoadedModel
from portable_model_server.errors import ServingError, invalid, not_found
from portable_model_server.prediction import Predictor
from portable_model_server.saved_model import SavedModelError
from portable_model_server.served_model import Servable
from portable_model_server.tfrecord import TFRecordError, read_records
from serving_api.messages import PredictionLog
from serving_api.names import WARMUP_FILE

_LOGGER = logging.getLogger(__name__)
# Source: WarmupConsts in tensorflow_serving/servables/tensorflow/saved_model_warmup_util.h.
MAX_WARMUP_RECORDS = 1000


@dataclass(frozen=True)
class VersionLoader:
    """Loads a version folder.

    Attributes:
        engine: runs it.
        predictor: runs the warmup requests as if they came from a caller.
        warmup_iterations: how often each is run; 0 does not warm up.
    """

    engine: Engine
    predictor: Predictor
    warmup_iterations: int

    def __call__(self, path: Path) -> LoadedModel:
        """The model, loaded and warm.

        Raises:
            ServingError: no SavedModel, none that the engine can run, or a warmup record failed.
        """
        try:
            model = self.engine.load(path)
        except SavedModelError as error:
            raise not_found(str(error)) from error
        except EngineError as error:
            raise ServingError(grpc.StatusCode.INTERNAL, str(error)) from error
        try:
            self._warm_up(path, model)
        except ServingError:
            model.close()
            raise
        return model

    def _warm_up(self, path: Path, model: LoadedModel) -> None:
        file = path / WARMUP_FILE
        if not self.warmup_iterations or not file.exists():
            return
        count = 0
        try:
            for count, record in enumerate(read_records(file), start=1):
                if count > MAX_WARMUP_RECORDS:
                    raise invalid(f"Number of warmup records exceeds the maximum ({MAX_WARMUP_RECORDS}) at {file}")
                self._replay(count, record, path, model)
        except TFRecordError as error:
            message = f"{error}. Please verify your warmup data is in TFRecord format."
            raise ServingError(grpc.StatusCode.DATA_LOSS, message) from error
        _LOGGER.info("%d warmup records of %s run", count, path)

    def _replay(self, count: int, record: bytes, path: Path, model: LoadedModel) -> None:
        try:
            log = PredictionLog.FromString(record)
        except DecodeError:
            raise invalid(f"Failed to parse warmup record {count} of {path}") from None
        if log.WhichOneof("log_type") != "predict_log":
            _LOGGER.warning("warmup record %d of %s skipped: it is no prediction", count, path)
            return
        # The record's model name and version are those of whoever wrote it, so the version at hand takes it.
        servable = Servable(path.parent.name, 0, model)
        for _ in range(self.warmup_iterations):
            try:
                self.predictor.predict(servable, log.predict_log.request)
            except ServingError as error:
                raise ServingError(error.code, f"warmup record {count} failed: {error.message}") from error
