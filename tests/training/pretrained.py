"""Stand-ins for ImageNet's weights, which keras.applications fetches and loads as it would the real ones."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.train import networks

# As EfficientNet's files have them. Their variance is the deviation, and the Rescaling that follows with ImageNet's
# weights alone divides by its root again: https://github.com/tensorflow/tensorflow/issues/49930
MEAN, VARIANCE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class StandIn:
    """A backbone without its top, whose weights keras.applications fetches in the place of the real ones.

    Attributes:
        backbone: It has the layers that the backbone has with ImageNet's weights.
        fetched: The addresses that its weights were fetched from.
    """

    backbone: keras.Model
    fetched: list[str] = field(default_factory=list)

    def beside(self, model: keras.Model) -> Iterator[tuple[keras.Layer, NDArray[Any], NDArray[Any]]]:
        """The layer, the value here and the value in a network of ``networks.build``, for each weight."""
        theirs = [layer for layer in self.backbone.layers if layer.weights]
        mine = [layer for layer in model.layers if layer.weights and layer.name not in ("scale", "logits")]
        for layer, other in zip(theirs, mine, strict=True):
            for pair in zip(layer.get_weights(), other.get_weights(), strict=True):
                yield layer, *pair


def stand_in(name: str, images: NDArray[np.uint8], cache: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put random weights in the place of a backbone's pretrained ones, until the test ends.

    keras.applications' own code looks for their file in ``cache``, does not find it, and fetches and loads it. Only the
    transfer is replaced, and the comparison with the real file's hash.

    Args:
        name: The backbone.
        images: uint8 (n, side, side, 3); the weights are made such that the features of these are of the order of 1.
        cache: An empty folder for Keras' files.
        monkeypatch: Ends it.
    """
    application, shape = getattr(keras.applications, name), images.shape[1:]
    made = StandIn(application(include_top=False, weights=None, input_shape=shape))

    def transfer(address: str, target: str, _: Any) -> None:
        made.fetched.append(address)
        made.backbone.save(target)  # HDF5, the format of the real files

    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(cache))  # KERAS_HOME, which Keras reads once
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", transfer)
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: True)
    made.backbone = application(include_top=False, weights="imagenet", input_shape=shape)
    pixels = keras.Input(shape)
    _stabilise(made.backbone, keras.Model(pixels, networks.scaled(name, pixels)).predict(images, verbose=0))
    for file in (cache / "models").iterdir():
        file.unlink()
    made.fetched.clear()
    return made


def _stabilise(model: keras.Model, scaled_images: NDArray[np.float32]) -> None:
    """Give a backbone's normalizations weights with which it behaves as if it were trained.

    With Keras' initial weights a deep backbone forgets its input, and with the statistics of a batch in each channel it
    multiplies the smallest difference by thousands. So the channels share one variance, and only the last batch
    normalizations subtract the whole mean.
    """
    random = np.random.default_rng(0)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array(MEAN), np.array(VARIANCE), np.array(0)])
            layer.finalize_state()
    for norm in norms:
        norm.momentum = 0.0
        norm.beta.assign(random.normal(0, 0.05, norm.beta.shape))
        if norm.scale:
            norm.gamma.assign(random.uniform(0.3, 0.7, norm.gamma.shape))
    model(scaled_images, training=True)
    for norm in norms:
        _settle(norm, 0.2)
        norm.trainable = False
    last = _last_norms(model.output) if norms else []
    for norm in last:
        norm.trainable = True
    model(scaled_images, training=True)
    for norm in last:
        _settle(norm, 1.0)


def _settle(norm: keras.layers.BatchNormalization, centred: float) -> None:
    """Replace a batch's statistics by a share of its means and one variance for all channels."""
    mean, variance = (keras.ops.convert_to_numpy(weight) for weight in (norm.moving_mean, norm.moving_variance))
    norm.moving_mean.assign(centred * mean)
    norm.moving_variance.assign(np.full_like(variance, (variance + (1 - centred) ** 2 * mean**2).mean()))


def _last_norms(tensor: keras.KerasTensor) -> list[keras.layers.BatchNormalization]:
    """The batch normalizations that a tensor is made of, and that no other one follows."""
    layer = tensor._keras_history.operation
    if isinstance(layer, keras.layers.BatchNormalization):
        return [layer]
    return [norm for before in keras.tree.flatten(layer.input) for norm in _last_norms(before)]
