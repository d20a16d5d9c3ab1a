"""Print what the forms of a converted model cost on both engines: python -m benchmarks.converter_forms.

Three backbones with random weights are each converted to four forms: the weights frozen to constants or left in
variables, and batch normalization left as operations or folded. For each form, engine and number of threads it prints

- the time of one image: minimum and median of interleaved rounds (each form once, then again) in one process, on the
  wall clock and as CPU time of all threads, which other programs on the machine disturb less;
- the memory: a process of its own loads the form and predicts; resident afterwards and at its peak, less what the
  engine takes without a model;
- the CPU seconds to load, the file's size, and the largest difference in probability from the Keras model.

It takes about a quarter of an hour and 10 GB of memory.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
BACKBONES = {"Xception": ("xception", 299), "InceptionV3": ("inception_v3", 299), "ResNet101V2": ("resnet_v2", 224)}
ENGINES = ("openvino", "tensorflow")
FROZEN, VARIABLES = "frozen", "variables"
FORMS = (FROZEN, "frozen, folded", VARIABLES, "variables, folded")
CLASS_NAMES = ("glioma", "meningioma", "notumor", "pituitary")
OUTPUTS = ("probabilities", "out_of_distribution")
COMPARED_IMAGES = 4


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--backbones", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    options.add_argument("--rounds", type=int, default=15, help="of each form (default: %(default)s)")
    options.add_argument("--folder", type=Path, help="keep the converted models here, and use those that are there")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for backbone in arguments.backbones:
            folder = (arguments.folder or Path(scratch)) / backbone
            if not folder.exists():
                in_process(convert, backbone=backbone, folder=str(folder))
            for engine in ENGINES:
                for threads in (1, 2):
                    compare(folder, engine, threads, arguments.rounds)


def compare(folder: Path, engine: str, threads: int, rounds: int) -> None:
    """Print one line for each form, with the ratio of CPU times to the same weights without folding."""
    times = in_process(measure_times, folder=str(folder), engine=engine, threads=threads, rounds=rounds)
    for form in FORMS:
        path = str(folder / form)
        memory = in_process(measure_memory, folder=path, engine=engine, threads=threads)
        wall, cpu = times[form]["wall"], times[form]["cpu"]
        unfolded = times[form.partition(",")[0]]["cpu"]
        size = sum(file.stat().st_size for file in (folder / form).rglob("*") if file.is_file())
        print(
            f"{folder.name:12} {engine:10} {threads} threads, {form:17}: "
            f"wall {1e3 * min(wall):6.1f} min {1e3 * statistics.median(wall):6.1f} median ms, "
            f"CPU {1e3 * min(cpu):6.1f} min {1e3 * statistics.median(cpu):6.1f} median ms, "
            f"{min(unfolded) / min(cpu):5.2f} times as fast as unfolded; resident {memory['resident']:5.0f}, "
            f"peak {memory['peak']:5.0f} MB; load {memory['load']:5.2f} s; "
            f"{size / 1e6:6.2f} MB; difference {times[form]['difference']:.0e}",
            flush=True,
        )


def convert(backbone: str, folder: str) -> None:
    """Write the forms of a backbone, and what Keras predicts."""
    import keras

    from brain_tumor.metadata import ImageSpec, ModelMetadata
    from converter.read.network import KerasNetwork
    from converter.write.saved_model import write_saved_model
    from converter.write.weights import LARGE
    from tests.converter.small_models import classifier, randomise

    module, side = BACKBONES[backbone]
    pixels = keras.Input((side, side, 3))
    base = getattr(keras.applications, backbone)(weights=None, include_top=False, input_shape=(side, side, 3))
    x = getattr(keras.applications, module).preprocess_input(pixels)
    model = randomise(keras.Model(pixels, classifier(base(x, training=False), len(CLASS_NAMES))))
    metadata = ModelMetadata(CLASS_NAMES, ImageSpec(side, side), explains=True)
    head = KerasNetwork(model, {}).head(side, side)
    folded, _ = head.folded()
    for form in FORMS:
        (Path(folder) / form).mkdir(parents=True)
        write_saved_model(
            Path(folder) / form,
            folded if "folded" in form else head,
            metadata,
            smallest_variable=LARGE if VARIABLES in form else None,
        )
    probabilities = model(images(side).astype(np.float32), training=False)
    np.save(Path(folder) / "keras.npy", np.asarray(probabilities))


def images(side: int) -> Any:
    """uint8 noise on a ramp, which spreads the predictions."""
    noise = np.random.default_rng(7).integers(0, 256, (COMPARED_IMAGES, side, side, 3))
    return (noise * np.linspace(0, 1, side)[:, None]).astype(np.uint8)


def measure_times(folder: str, engine: str, threads: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of wall clock and of CPU time for each round of each form."""
    expected = np.load(Path(folder) / "keras.npy")
    models = {form: load(Path(folder) / form, engine, threads) for form in FORMS}
    side = models[FORMS[0]].signatures["serving_default"].inputs["images"].shape[1]
    pixels = images(side)
    results: dict[str, dict[str, Any]] = {}
    for form, model in models.items():
        predicted = [predict(model, pixels[[index]])["probabilities"] for index in range(COMPARED_IMAGES)]
        difference = float(np.abs(np.concatenate(predicted) - expected).max())
        results[form] = {"wall": [], "cpu": [], "difference": difference}
    for number in range(rounds):
        for form, model in models.items():
            wall, cpu = time.perf_counter(), time.process_time()
            predict(model, pixels[[number % COMPARED_IMAGES]])
            results[form]["cpu"].append(time.process_time() - cpu)
            results[form]["wall"].append(time.perf_counter() - wall)
    return results


def measure_memory(folder: str, engine: str, threads: int) -> dict[str, float]:
    """Megabytes that one form takes above the engine alone, and the CPU seconds of its load."""
    import psutil

    create(engine, threads)
    process = psutil.Process()
    before, started = process.memory_info().rss, time.process_time()
    model = load(Path(folder), engine, threads)
    loaded = time.process_time() - started
    side = model.signatures["serving_default"].inputs["images"].shape[1]
    for index in range(COMPARED_IMAGES):
        predict(model, images(side)[[index]])
    resident = process.memory_info().rss - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"resident": resident / 1e6, "peak": peak / 1e6, "load": loaded}


def create(engine: str, threads: int) -> Any:
    from portable_model_server.engines.base import Threads
    from portable_model_server.engines.choice import create_engine

    return create_engine(engine, Threads(cpus=threads, intra_op=threads, inter_op=1))


def load(folder: Path, engine: str, threads: int) -> Any:
    return create(engine, threads).load(folder)


def predict(model: Any, pixels: Any) -> dict[str, Any]:
    return model.predict("serving_default", {"images": pixels}, OUTPUTS)


def in_process(function: Any, **arguments: Any) -> Any:
    """Call a function of this module in a process of its own: memory and threads start from nothing."""
    command = [sys.executable, "-m", "benchmarks.converter_forms", "--call", function.__name__, json.dumps(arguments)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--call"]:
        print(json.dumps(globals()[sys.argv[2]](**json.loads(sys.argv[3]))))
    else:
        main()
