"""The training command, as a process for the tests that stop it or read its output, or in this process."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from tests.processes import ROOT
from training.train.__main__ import main

SIDE = "32"
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}


def command(data: Path, run: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "training.train", str(data), str(run), "--size", SIDE, *options]


def train(data: Path, run: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(data, run, *options),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        timeout=240,
    )


def train_here(data: Path, run: Path, *options: str) -> None:
    assert main([str(data), str(run), "--size", SIDE, *options]) == 0


def weights(run: Path) -> list[np.ndarray]:
    return keras.models.load_model(run / "model.keras").get_weights()


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Equal bit for bit."""
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)
