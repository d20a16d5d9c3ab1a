"""The network in ONNX Runtime, for the peers that leave the choice of the engine to their user.

Settings: all graph optimizations and a thread for each core, which are the defaults.
"""

import numpy as np
import onnxruntime
from pixels import NETWORK


class OnnxNetwork:
    def __init__(self) -> None:
        self._session = onnxruntime.InferenceSession(NETWORK / "network.onnx", providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """The probabilities (1, classes)."""
        return self._session.run(None, {self._input: batch})[0]
