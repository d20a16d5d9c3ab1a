"""Makes a version ready to serve: the engine loads it, and its warmup requests run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from portable_model_server.engines.base import Engine, EngineError, LoadedModel
from portable_model_server.engines.saved_model import SavedModelError
from portable_model_server.errors import ServingError, not_found
from portable_model_server.serving.warmup import Warmup


@dataclass(frozen=True)
class VersionLoader:
    """Loads a version folder.

    Attributes:
        engine: The engine that runs the model.
        arrange: Takes the model as the engine loaded it and returns the one that serves (``batching``).
        warmup: What runs the version's warmup requests; None does not warm up.
    """

    engine: Engine
    arrange: Callable[[LoadedModel], LoadedModel]
    warmup: Warmup | None

    def __call__(self, path: Path) -> LoadedModel:
        """Load the model in a version folder and warm it up.

        Raises:
            ServingError: There is no SavedModel, the engine cannot run it, or a warmup record failed.
        """
        try:
            model = self.arrange(self.engine.load(path))
        except SavedModelError as error:
            raise not_found(str(error)) from error
        except EngineError as error:
            raise ServingError(grpc.StatusCode.INTERNAL, str(error)) from error
        if self.warmup:
            try:
                self.warmup.run(path, model)
            except ServingError:
                model.close()
                raise
        return model
