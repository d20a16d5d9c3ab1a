"""TensorFlow's own C session, which TensorFlow Serving runs too, on what the converter has published."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.calls import PREDICT, predictions_of
from brain_tumor.contract import PREDICT_SIGNATURE
from converter.convert import Job, convert
from portable_model_server.engines.base import OPENVINO, TENSORFLOW, InvalidInputError, Threads
from portable_model_server.engines.c_api import INVALID_ARGUMENT, Session, TensorFlowError
from portable_model_server.engines.choice import create_engine
from portable_model_server.engines.saved_model import SERVE_TAG
from serving_api.names import WARMUP_FILE
from tests.converter import compare
from tests.converter.small_models import SIZE, build_keras, write
from tests.gateway.fake_model_server import metadata
from tests.processes import CLEAN_ENVIRONMENT, ROOT

# The library writes BuildGraph when it prepares the graph for other outputs.
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from benchmarks.tensorflow_memory import warm_up
from portable_model_server.engines.c_api import Session

folder, images, outputs, batches = Path(sys.argv[1]), np.load(sys.argv[2]), *map(json.loads, sys.argv[3:])
session = Session(folder, "serve", 1, 2)
print(warm_up(session, folder), "records run", file=sys.stderr, flush=True)
start, rows = 0, []
for size in batches:
    for names in outputs:
        probabilities = session.run({"images": images[start : start + size]}, names)[0]
    rows += probabilities.reshape(size, -1).tolist()
    start += size
print(json.dumps(rows))
"""
IMAGES = compare.synthetic_images(*SIZE)
BATCHES = [1, 2, 1]


@pytest.fixture(scope="module")
def model():
    return build_keras()


@pytest.fixture(scope="module")
def version(tmp_path_factory, model):
    """With variables for all but the smallest weights, as large models have them."""
    folder = tmp_path_factory.mktemp("published")
    source = write(folder, model)
    job = Job(source, source.with_suffix(".json"), folder / "models", smallest_variable=100)
    convert(job)
    return job.target


def run(version, images, calls, **environment):
    """The probabilities, and what the library wrote before and after the warmup ended."""
    np.save(version.parent / "images.npy", images)
    outputs = [call.outputs for call in calls]
    arguments = [str(version), str(version.parent / "images.npy"), json.dumps(outputs), json.dumps(BATCHES)]
    log = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "graph_execution_state=1"}
    done = run_python(SCRIPT, *arguments, **log, **environment)
    return np.array(json.loads(done.stdout)), *done.stderr.split("records run")


def run_python(script, *arguments, **environment):
    """A script that has ended well in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**CLEAN_ENVIRONMENT, "CUDA_VISIBLE_DEVICES": "-1", **environment},
        cwd=ROOT,
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_after_the_warmup_no_call_of_the_gateway_waits_for_a_graph(version):
    calls = predictions_of(metadata(explains=True))
    _, before, after = run(version, IMAGES, calls)
    assert before.count("BuildGraph") >= len(calls)
    assert after.count("BuildGraph") == 0


def test_without_the_warmup_each_set_of_outputs_waits(version, tmp_path):
    """Otherwise the test above would hold for any file."""
    (version / WARMUP_FILE).rename(tmp_path / "warmup")
    try:
        _, _, after = run(version, IMAGES, predictions_of(metadata(explains=True)))
    finally:
        (tmp_path / "warmup").rename(version / WARMUP_FILE)
    assert after.count("BuildGraph") == 2


def test_weights_that_are_assumed_to_be_frozen_give_the_same(version, model):
    """In batches of several sizes: the layout of the first one is kept."""
    images = IMAGES[: sum(BATCHES)]
    probabilities, *_ = run(version, images, [PREDICT], TF_ONEDNN_ASSUME_FROZEN_WEIGHTS="1")
    assert tf.__version__.startswith("2.20."), "the setting is of this version of TensorFlow Serving"
    np.testing.assert_allclose(probabilities, compare.by_keras(model, images), atol=compare.TOLERANCE)


def test_an_empty_batch_is_refused_by_tensorflow_and_by_both_engines(version):
    outputs = [call.outputs for call in predictions_of(metadata(explains=True))]
    empty = {"images": np.zeros((0, *SIZE, 3), np.uint8)}
    session = Session(version, SERVE_TAG, 1, 1)
    for names in outputs:
        with pytest.raises(TensorFlowError, match="images must hold at least one image") as caught:
            session.run(empty, names)
        assert caught.value.code == INVALID_ARGUMENT
    session.close()
    for name in (OPENVINO, TENSORFLOW):
        model = create_engine(name, Threads(1)).load(version)
        for names in outputs:
            with pytest.raises(InvalidInputError, match='input "images" is empty'):
                model.predict(PREDICT_SIGNATURE, empty, names)
        model.close()
