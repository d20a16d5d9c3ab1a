"""A classification as the JSON that a client gets."""

import base64
from typing import Any

from gateway.classify.classifier import Classification

_DECIMALS = 6  # of probabilities and scores; float32 holds about seven digits


def response_document(classification: Classification, request_id: str) -> dict[str, Any]:
    """Describe the classification of one image; docs/api.md explains the keys."""
    model = classification.model
    metadata = model.metadata
    predicted = metadata.class_names[classification.class_index]
    score = classification.out_of_distribution
    threshold = metadata.out_of_distribution_threshold
    document = {
        "class": predicted,
        "probabilities": {
            name: round(float(probability), _DECIMALS)
            for name, probability in zip(metadata.class_names, classification.probabilities, strict=True)
        },
        "out_of_distribution": {
            "score": round(score, _DECIMALS),
            "flag": None if threshold is None else score > threshold,
        },
        "model": {"name": model.name, "version": model.version},
        "notice": metadata.notice,
        "request_id": request_id,
    }
    if classification.overlay is not None:
        document["explanation"] = {
            "class": predicted,
            "png": base64.b64encode(classification.overlay).decode("ascii"),
        }
    return document
