"""A model and its description, read and checked before anything is converted."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.metadata import ModelMetadata
from converter.read import configuration, keras3
from converter.read.description import Description, read_description
from converter.read.model_file import Form, ModelFile, look_at
from converter.read.network import Network, Selection


@dataclass(frozen=True)
class Source:
    """A model and its description.

    Attributes:
        file: The model's file.
        network: The model.
        description: What the user says about it.
        metadata: The same, complete: it holds the size of the model's images, too.
    """

    file: ModelFile
    network: Network
    description: Description
    metadata: ModelMetadata


def load(model_path: Path, description_path: Path) -> Source:
    """Read a model and its description, and check that they agree.

    Raises:
        ConversionError: One of them cannot be read, the model is not of a kind that can be converted, or they disagree.
    """
    file = look_at(model_path)
    description = read_description(description_path)
    network = read_network(file, description.selection)
    return Source(file, network, description, description.metadata(network))


def read_network(file: ModelFile, selection: Selection) -> Network:
    """Read a model of any form.

    Raises:
        ConversionError: It cannot be read, or is not of a kind that can be converted.
    """
    with file.named_in_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, about what older versions of them wrote
        return _read(file, selection)


def _read(file: ModelFile, selection: Selection) -> Network:
    if file.form is Form.SAVED_MODEL:
        from converter.read import saved_model_folder

        return saved_model_folder.read(file.path, selection)
    configuration.check(file.config)
    if not file.is_keras_2:
        return keras3.read(file, selection)
    from converter.read import keras2  # with tf-keras, which only some have

    return keras2.read(file, selection)
