"""Write a network as a ``.keras`` file and as a plain export: python -m benchmarks.peers.make_network KIND SIDE FOLDER.

A process of its own, since it needs TensorFlow. The benchmark calls it.
"""

import json
import sys
from pathlib import Path

import keras

from benchmarks.peers.networks import EXPORT
from brain_tumor.atomic import atomic_folder
from brain_tumor.processes import SHIPPED_MODEL
from tests.converter.small_models import CLASS_NAMES, classifier, randomise
from training.train.networks import SMALL, build


def xception(side: int) -> tuple[keras.Model, dict]:
    """Xception with random weights and predictions that differ, from pixels scaled to -1..1."""
    pixels = keras.Input((side, side, 3))
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=(side, side, 3))
    features = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels), training=False)
    whole = randomise(keras.Model(pixels, classifier(features, len(CLASS_NAMES))))
    scaled = x = keras.Input((side, side, 3))
    for layer in whole.layers[2:]:  # all but the input and its scaling, which servers do as keras_image_helper does
        x = layer(x)
    return keras.Model(scaled, x), {"class_names": CLASS_NAMES, "resampling": "nearest", "scaling": "tf"}


def small(side: int) -> tuple[keras.Model, dict]:
    """The small network of this project with random weights, from pixels 0..255."""
    logits = randomise(build(SMALL, side, len(CLASS_NAMES)))
    return _with_softmax(logits), {"class_names": CLASS_NAMES, "resampling": "nearest", "scaling": "none"}


def shipped(side: int) -> tuple[keras.Model, dict]:
    """The shipped model, with its temperature in the graph."""
    description = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text())
    image = description["image"]
    if {image["height"], image["width"]} != {side}:
        raise SystemExit(f"the shipped model takes images of {image['width']}x{image['height']} pixels alone")
    logits = keras.models.load_model(SHIPPED_MODEL.with_suffix(".keras"))
    settings = {name: description[name] for name in ("class_names", "scaling")}
    return _with_softmax(logits, description["temperature"]), settings | {"resampling": image["resampling"]}


def _with_softmax(logits: keras.Model, temperature: float = 1.0) -> keras.Model:
    calibrated = logits.output if temperature == 1 else keras.layers.Rescaling(1 / temperature)(logits.output)
    return keras.Model(logits.inputs, keras.layers.Softmax()(calibrated))


def main(kind: str, side: int, folder: Path) -> None:
    model, settings = {"xception": xception, "small": small, "shipped": shipped}[kind](side)
    image = {"height": side, "width": side, "resampling": settings.pop("resampling")}
    (folder / "network.json").write_text(json.dumps({**settings, "image": image, "input": model.inputs[0].name}))
    model.save(folder / "network.keras")
    (folder / EXPORT).parent.mkdir(exist_ok=True)
    with atomic_folder(folder / EXPORT) as unfinished:  # the last: its presence says that all is there
        model.export(unfinished, verbose=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
