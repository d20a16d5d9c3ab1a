"""One image's row in the results, whatever the format of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brain_tumor_client.errors import ClientError, ImageRefused, KeyRefused, ServiceBusy, ServiceFault
from brain_tumor_client.prediction import Prediction
from brain_tumor_client.sources.item import Item, Key, key_of

_DECIMALS = 3  # of seconds


@dataclass(frozen=True)
class Row:
    """What became of one image. Either ``class_name`` is there, or ``error_detail``.

    Attributes:
        path: The file as the user named it.
        volume: The NIfTI volume or DICOM series that it is a part of.
        frame: Which frame was asked for; None where the service chose.
        error_status: The HTTP status; None where there was no response.
        seconds: From the first attempt to the response, waits included.
    """

    path: str
    volume: str | None = None
    plane: str | None = None
    slice: int | None = None
    frame: int | None = None
    class_name: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    ood_score: float | None = None
    ood_flag: bool | None = None
    model_name: str | None = None
    model_version: int | None = None
    warnings: tuple[str, ...] = ()
    error_status: int | None = None
    error_detail: str | None = None
    request_id: str | None = None
    seconds: float = 0.0

    @property
    def key(self) -> Key:
        """What identifies the row."""
        return key_of(self.path, self.plane, self.slice, self.frame)

    def document(self) -> dict[str, Any]:
        """The row as JSON; ``row_of`` is the way back."""
        document = {"class" if name == "class_name" else name: value for name, value in vars(self).items()}
        return document | {"probabilities": dict(self.probabilities), "warnings": list(self.warnings)}


def row_of(document: Mapping[str, Any]) -> Row:
    """Read a row from JSON.

    Raises:
        TypeError, KeyError: It is none.
    """
    fields = {"class_name" if name == "class" else name: value for name, value in document.items()}
    return Row(**fields | {"warnings": tuple(document["warnings"])})


def classified(item: Item, prediction: Prediction, seconds: float) -> Row:
    """The row of an image that the service has classified."""
    return _row(
        item,
        seconds,
        class_name=prediction.class_name,
        probabilities=prediction.probabilities,
        ood_score=prediction.out_of_distribution.score,
        ood_flag=prediction.out_of_distribution.flag,
        model_name=prediction.model_name,
        model_version=prediction.model_version,
        warnings=item.warnings + prediction.warnings + _other_pages(item, prediction),
        request_id=prediction.request_id,
    )


def _other_pages(item: Item, prediction: Prediction) -> tuple[str, ...]:
    if item.frame is not None or prediction.pages == 1:
        return ()
    return (f"This is page {prediction.page} of {prediction.pages} of the file. --every-frame classifies all.",)


def failed(item: Item, error: ClientError, seconds: float) -> Row:
    """The row of an image that could not be classified."""
    problem = error.problem if isinstance(error, ImageRefused | KeyRefused | ServiceBusy | ServiceFault) else None
    return _row(
        item,
        seconds,
        warnings=item.warnings,
        error_status=problem.status if problem else None,
        error_detail=str(error),
        request_id=(problem.request_id or None) if problem else None,
    )


def _row(item: Item, seconds: float, **outcome: Any) -> Row:
    """A row that says which image it is, and what became of it."""
    return Row(
        path=item.path,
        volume=item.volume,
        plane=item.plane,
        slice=item.slice,
        frame=item.frame,
        seconds=round(seconds, _DECIMALS),
        **outcome,
    )
