"""Random weights with which a network tells images apart, whichever Keras it was built with."""

import numpy as np
from tensorflow import keras

_SPREAD = 1.5  # standard deviation of the logits over the images


def randomise(model, pixels, seed=0):
    """Give every weight a value, batch normalization's statistics too, and spread the predictions for these pixels.

    With the weights that Keras begins with, batch normalization has no effect and a deep network says the same about
    every image, so that no comparison could fail.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        value = _value(_kind(weight), tuple(weight.shape), random)
        if value is not None:
            weight.assign(value)
    spread(model, pixels)
    return model


def spread(model, pixels, head=None):
    """Scale a network's last dense layer so that its logits for these pixels are centred and differ.

    Args:
        model: The network.
        pixels: What it is given, float32 (batch, height, width, channel).
        head: The dense layer; the last one if none is given.
    """
    head = head or next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense))
    logits = _logits(model, head, pixels)
    if logits.shape[-1] > 1:
        logits = logits - logits.mean(-1, keepdims=True)
    factor = _SPREAD / logits.std(0).mean()
    head.kernel.assign(head.kernel * factor)
    head.bias.assign(head.bias * factor - factor * logits.mean(0))


def _logits(model, head, pixels):
    activation, head.activation = head.activation, keras.activations.linear
    outputs = model(pixels.astype(np.float32), training=False)
    head.activation = activation
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return next(np.asarray(output, np.float64) for output in outputs if output.shape[-1] == head.units)


def _kind(weight):
    return getattr(weight, "path", weight.name).rsplit("/", 1)[-1].split(":")[0]


def _value(kind, shape, random):
    if "kernel" in kind:
        depthwise = kind == "depthwise_kernel" or (len(shape) == 4 and shape[2] > 1 and shape[3] == 1)
        fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
        return random.standard_normal(shape).astype(np.float32) * np.sqrt(2 / fan_in, dtype=np.float32)
    if kind in ("gamma", "moving_variance"):
        return random.uniform(0.7, 1.3, shape)
    if kind in ("beta", "moving_mean", "bias"):
        return random.normal(0, 0.1, shape)
    return None  # counters, and what a layer has learnt of the images' mean and variance
