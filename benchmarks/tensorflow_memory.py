"""Print what TensorFlow holds of a converted model, and how long its first calls take.

``python -m benchmarks.tensorflow_memory FOLDER...`` loads each version's folder into a process of its own, with
TensorFlow's C session, the threads of the Deployment and this process's environment, once without and once with
TF_ONEDNN_ASSUME_FROZEN_WEIGHTS. It runs the warmup records, and then lets 1, 4, 8 and 16 callers call at once, with and
without explanation in turn. It prints resident megabytes, of which the library alone takes the first, the CPU time of a
call, and the first calls of each crowd beside the later ones. Times are comparable within one run only.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.calls import EXPLAIN, PREDICT
from brain_tumor.contract import IMAGES, METADATA_ASSET, PREDICT_SIGNATURE
from brain_tumor.metadata import ModelMetadata
from brain_tumor.processes import ROOT
from portable_model_server.engines.c_api import Session, load_library
from portable_model_server.engines.saved_model import SERVE_TAG
from portable_model_server.serving.tfrecord import read_records
from serving_api.messages import PredictionLog
from serving_api.names import WARMUP_FILE
from serving_api.tensors import to_array

FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"
CALLERS = (1, 4, 8, 16)
THREADS = {"intra_op": 1, "inter_op": 2}  # of kube-config/base/model-server/deployment.yaml, with its limit of 2 CPUs


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a version's folder")
    options.add_argument("--batch", type=int, default=1, help="images of a call (default: %(default)s)")
    arguments = options.parse_args()
    for folder in arguments.folders:
        for assumed in ("0", "1"):
            print(f"{folder}, {FROZEN_WEIGHTS}={assumed}")
            command = [sys.executable, "-m", "benchmarks.tensorflow_memory", "--measure", str(folder.absolute())]
            quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
            environment = {**os.environ, **quiet, FROZEN_WEIGHTS: assumed}
            done = subprocess.run(
                [*command, str(arguments.batch)], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
            )
            for stage, figures in json.loads(done.stdout).items():
                print(f"  {stage:12} " + ", ".join(f"{name} {figure}" for name, figure in figures.items()), flush=True)


def measure(folder: Path, batch: int) -> dict[str, dict[str, Any]]:
    """Load a model, warm it up and call it; the figures of each stage."""
    load_library()
    stages = {"library": {"resident MB": resident()}}
    session = Session(folder, SERVE_TAG, **THREADS)
    stages["loaded"] = {"resident MB": resident()}
    started = time.perf_counter()
    count = warm_up(session, folder)
    stages["warm"] = {
        "resident MB": resident(), "records": count, "seconds": round(time.perf_counter() - started, 2)
    }  # fmt: skip
    image = ModelMetadata.from_json((folder / METADATA_ASSET).read_text()).image
    shape = (batch, image.height, image.width, 3)
    pixels = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    calls = [EXPLAIN, PREDICT]
    for callers in CALLERS:
        walls: list[list[float]] = [[] for _ in range(callers)]

        def call(caller: int, walls: list[list[float]] = walls) -> None:
            for number in range(3):
                began = time.perf_counter()
                session.run({IMAGES: pixels}, calls[(caller + number) % 2].outputs)
                walls[caller].append(time.perf_counter() - began)

        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
        cpu = time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first = max(wall[0] for wall in walls)
        later = max(max(wall[1:]) for wall in walls)
        stages[f"{callers} callers"] = {
            "resident MB": resident(),
            "CPU ms a call": round(1e3 * (time.process_time() - cpu) / callers / 3),
            "first s": round(first, 2),
            "later s": round(later, 2),
        }
    stages["peak"] = {"resident MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)}
    return stages


def warm_up(session: Session, folder: Path) -> int:
    """Run the records of the warmup file that ask for a prediction; their number, 0 where there is no file."""
    file, count = folder / WARMUP_FILE, 0
    for record in read_records(file) if file.exists() else ():
        request = PredictionLog.FromString(record).predict_log.request
        if request.model_spec.signature_name == PREDICT_SIGNATURE:
            session.run({IMAGES: to_array(request.inputs[IMAGES])}, request.output_filter)
            count += 1
    return count


def resident() -> int:
    """The megabytes of this process in memory, with the library's own pages."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
