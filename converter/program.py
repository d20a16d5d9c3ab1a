"""A Keras model as a flat list of steps, nested models included, so that it can be rewritten step by step.

Keras rewrites a graph only layer by layer (``clone_model``), which neither sees who else reads a tensor nor looks
into a Sequential. Folding and head-finding need both.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from converter.errors import ConversionError

# A layer's name becomes part of its nodes' names; source: tensorflow/python/framework/ops.py, _VALID_SCOPE_NAME_REGEX.
_NODE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]+")


@dataclass(frozen=True, eq=False)
class Step:
    """One call: ``output = run(*args, **kwargs)``; tensors in them are symbolic Keras tensors, known by identity."""

    run: Any  # a Keras layer or operation, or a function
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any

    @cached_property
    def inputs(self) -> dict[int, keras.KerasTensor]:
        """The tensors the step reads, by identity."""
        return _tensors((self.args, dict(self.kwargs)))

    @cached_property
    def outputs(self) -> dict[int, keras.KerasTensor]:
        """The tensors the step makes, by identity."""
        return _tensors(self.output)

    def map(self, change: Callable[[Any], Any]) -> "Step":
        """The same step on other arguments: each part of them changed."""
        args, kwargs = keras.tree.map_structure(change, (self.args, dict(self.kwargs)))
        return Step(self.run, args, kwargs, self.output)


@dataclass(frozen=True)
class Program:
    """Steps in order, from one input tensor (batch, height, width, 3) to one output tensor (batch, class)."""

    input: keras.KerasTensor
    steps: tuple[Step, ...]
    output: keras.KerasTensor

    def producer(self, tensor: keras.KerasTensor) -> Step | None:
        """The step that makes a tensor; None for the program's input."""
        return next((step for step in self.steps if id(tensor) in step.outputs), None)

    def consumers(self, tensor: keras.KerasTensor) -> list[Step]:
        """The steps that read a tensor."""
        return [step for step in self.steps if id(tensor) in step.inputs]

    def calls(self, run: Any) -> int:
        """How often a layer is called: more than once where it is shared."""
        return sum(step.run is run for step in self.steps)

    def ancestors(self, *tensors: keras.KerasTensor) -> list[Step]:
        """The steps that tensors depend on, in order."""
        needed, found = {id(tensor) for tensor in tensors}, []
        for step in reversed(self.steps):
            if not needed.isdisjoint(step.outputs):
                needed.update(step.inputs)
                found.append(step)
        return found[::-1]

    def replace(self, replacements: Mapping[Step, tuple[Step, ...]]) -> "Program":
        """The same program with some steps replaced by others (by none: removed)."""
        steps = tuple(new for step in self.steps for new in replacements.get(step, (step,)))
        return Program(self.input, steps, self.output)

    def bypass(self, step: Step) -> "Program":
        """The same program without a step that hands its first argument on: its readers read that."""
        new = step.args[0]

        def swap(value: Any) -> Any:
            return new if value is step.output else value

        steps = tuple(
            other.map(swap) if id(step.output) in other.inputs else other for other in self.steps if other is not step
        )
        return Program(self.input, steps, swap(self.output))

    def run(self, pixels: Any, *fetch: keras.KerasTensor) -> list[Any]:
        """Compute tensors from a real input: an array, or a TensorFlow tensor in a function being traced."""
        values = {id(self.input): pixels}

        def value(part: Any) -> Any:
            return values[id(part)] if isinstance(part, keras.KerasTensor) else part

        for step in self.ancestors(*fetch):
            real = step.map(value)
            values.update(zip(step.outputs, keras.tree.flatten(real.run(*real.args, **real.kwargs)), strict=True))
        return [values[id(tensor)] for tensor in fetch]


def flatten(model: keras.Model, height: int, width: int) -> Program:
    """The program of a Functional or Sequential model with one input and one output, for one size of images.

    Raises:
        ConversionError: the model, or one inside it, is neither, or a layer's name is none for TensorFlow.
    """
    steps: list[Step] = []

    def record(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            (output,) = args
            for layer in operation.layers:
                output = record(layer, output)
            return output
        if isinstance(operation, keras.Function):
            # The one private call: Keras' public ways into a nested model rebuild it and lose the connection.
            return operation._run_through_graph(args, call_fn=record)
        if isinstance(operation, keras.Model):
            raise ConversionError(
                f"{operation.name} is a subclassed model; build it from layers (keras.Model(in, out))"
            )
        if isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters:
            kwargs["training"] = False  # as in Keras' predict, whatever the layer was called with
        if not _NODE_NAME.fullmatch(operation.name):
            raise ConversionError(
                f"layer {operation.name!r}: in a name TensorFlow takes letters, digits, '_', '.', '-'"
            )
        output = operation(*args, **kwargs)
        steps.append(Step(operation, args, kwargs, output))
        return output

    (given,) = model.inputs
    pixels = keras.Input((height, width, given.shape[-1]), dtype=given.dtype)
    (output,) = keras.tree.flatten(record(model, pixels))
    return Program(pixels, tuple(steps), output)


def _tensors(structure: Any) -> dict[int, keras.KerasTensor]:
    return {id(part): part for part in keras.tree.flatten(structure) if isinstance(part, keras.KerasTensor)}
