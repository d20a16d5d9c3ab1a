"""Custom resources held against their own schemas, as an API server would."""

from pathlib import Path

import yaml
from jsonschema import Draft7Validator

from tests.kube_config.manifests import Object


def schema_of(definition: Path) -> Draft7Validator:
    """The schema in the file of a CustomResourceDefinition with one version; other fields than its own are refused.

    Args:
        definition: The file, as its project publishes it.
    """
    (version,) = yaml.safe_load(definition.read_text())["spec"]["versions"]
    return Draft7Validator(_closed(version["schema"]["openAPIV3Schema"]))


def completed(value: Object, schema: Object) -> Object:
    """An object with the defaults that the API server fills in before it validates."""
    parts = schema.get("properties", {})
    defaults = {name: part["default"] for name, part in parts.items() if "default" in part}
    return {
        name: completed(field, parts.get(name, {})) if isinstance(field, dict) else field
        for name, field in {**defaults, **value}.items()
    }


def _closed(schema: Object) -> Object:
    parts = {key: part for key, part in schema.items() if part is not None}
    if "properties" in parts:
        parts["properties"] = {name: _closed(part) for name, part in parts["properties"].items()}
        parts["additionalProperties"] = False
    if "items" in parts:
        parts["items"] = _closed(parts["items"])
    return parts
