"""Runs the requests that a version folder contains for its warmup.

The first prediction of a model takes several times as long as later ones, so it must not be a caller's.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from portable_model_server.engines.base import LoadedModel
from portable_model_server.errors import ServingError, invalid
from portable_model_server.serving.prediction import Predictor
from portable_model_server.serving.tfrecord import TFRecordError, read_records
from portable_model_server.serving.versions import Servable
from serving_api.messages import PredictionLog
from serving_api.names import WARMUP_FILE

_LOGGER = logging.getLogger(__name__)
# Source: WarmupConsts in tensorflow_serving/servables/tensorflow/saved_model_warmup_util.h.
MAX_WARMUP_RECORDS = 1000


@dataclass(frozen=True)
class Warmup:
    """Runs warmup records as if they were callers' requests.

    Attributes:
        predictor: What runs them.
        iterations: How often each record runs, at least 1.
    """

    predictor: Predictor
    iterations: int

    def run(self, path: Path, model: LoadedModel) -> None:
        """Run every record of the version folder that a model was loaded from; a folder without records is fine.

        Raises:
            ServingError: The file or a record cannot be read, there are too many records, or one failed.
        """
        file = path / WARMUP_FILE
        if not file.exists():
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
        # The record names the model and version of whoever wrote it, so both are ignored.
        servable = Servable(path.parent.name, 0, model)
        for _ in range(self.iterations):
            try:
                self.predictor.predict(servable, log.predict_log.request)
            except ServingError as error:
                if error.code is grpc.StatusCode.UNIMPLEMENTED:
                    _LOGGER.warning("warmup record %d of %s skipped: %s", count, path, error.message)
                    return
                raise ServingError(error.code, f"warmup record {count} failed: {error.message}") from error
