"""The first predictions of a process may come at the same time; an engine that is being set up must not lock up."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import CLEAN_ENVIRONMENT, ROOT

# Threads change hands as often as they can, so that a lock-up shows now, not once a month.
SCRIPT = """
import os, sys, threading
from pathlib import Path
import numpy as np
from portable_model_server.engines.base import Threads
from portable_model_server.engines.choice import create_engine

model = create_engine("openvino", Threads(2)).load(Path(sys.argv[1]))
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)

def call():
    together.wait()
    model.predict("serving_default", {"x": np.ones(2, np.float32)}, ["y"])

threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(sum(thread.is_alive() for thread in threads))
"""


@pytest.mark.parametrize("run", range(2))
def test_first_calls_at_once(tmp_path: Path, half_plus: Callable[..., Path], run: int) -> None:
    version = half_plus(tmp_path / "m" / "1", 1.0)
    # A process that holds the interpreter's lock for ever does not end by itself.
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(version)], env=CLEAN_ENVIRONMENT, timeout=30, check=False, cwd=ROOT
    )
    assert ended.returncode == 0
