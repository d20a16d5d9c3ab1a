"""Runs inside an environment: python -m notebooks IMAGES OUT NOTEBOOK:FILE ... (of ``written``)."""

import json
import sys
from pathlib import Path

import numpy as np
from notebooks import backbones, bodies, heads, other_files, plain, saved_models
from tensorflow import keras

_MODULES = (plain, backbones, bodies, heads, other_files, saved_models)


def main() -> None:
    images, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True)
    paths = sorted(path for path in images.rglob("*") if path.is_file())
    for order in sys.argv[3:]:
        notebook, _, file = order.partition(":")
        _write(notebook, out / file, paths)


def _write(notebook: str, target: Path, paths: list[Path]) -> None:
    keras.backend.clear_session()  # the names of layers begin anew
    run = next(getattr(module, notebook) for module in _MODULES if hasattr(module, notebook))
    left = run(paths)
    np.save(target.with_suffix(".npy"), np.asarray(left.predict(left.model, left.pixels), np.float64))
    if left.without is not None:
        np.save(target.with_suffix(".without.npy"), np.asarray(left.without, np.float64))
    left.save(left.model, target)
    unfinished = target.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(left.description))
    unfinished.rename(target.with_suffix(".json"))  # the last: who sees it finds the whole form


if __name__ == "__main__":
    main()
