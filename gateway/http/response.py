"""A classification as the document that a client gets."""

import base64

from msgspec import UNSET

from gateway.classify.classification import Classification
from gateway.http.documents import Explanation, ModelIdentity, OutOfDistribution, Prediction, View

_DECIMALS = 6  # of probabilities and scores; float32 holds about seven digits


def response_document(classification: Classification, request_id: str) -> Prediction:
    """Describe the classification of one image."""
    model = classification.model
    metadata = model.metadata
    predicted = metadata.class_names[classification.class_index]
    score = classification.out_of_distribution
    threshold = metadata.out_of_distribution_threshold
    overlay, view, facts = classification.overlay, classification.view, classification.facts
    return Prediction(
        class_=predicted,
        probabilities={
            name: round(float(probability), _DECIMALS)
            for name, probability in zip(metadata.class_names, classification.probabilities, strict=True)
        },
        out_of_distribution=OutOfDistribution(
            score=round(score, _DECIMALS), flag=None if threshold is None else score > threshold
        ),
        model=ModelIdentity(
            name=model.name,
            version=model.version,
            precision=metadata.precision,
            label=classification.label or UNSET,
        ),
        notice=metadata.notice,
        request_id=request_id,
        warnings=list(facts.warnings),
        dicom=facts.dicom or UNSET,
        page=facts.page if facts.pages > 1 else UNSET,
        pages=facts.pages if facts.pages > 1 else UNSET,
        explanation=UNSET if overlay is None else Explanation(class_=predicted, png=_text(overlay)),
        view=UNSET if view is None else View(png=_text(view)),
    )


def _text(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")
