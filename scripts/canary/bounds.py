"""What a canary must have shown before it may serve all requests: bounds in a TOML file."""

import math
import tomllib
from dataclasses import dataclass, fields
from operator import ge, le
from pathlib import Path

from scripts.canary.errors import CanaryError
from scripts.canary.report import Report


@dataclass(frozen=True)
class Bounds:
    """The bounds, each of which must be in the file.

    Attributes:
        images: So many images were compared at least.
        failures: At most this share of the requests that were for the canary was not answered by it.
        agreement: In at least this share of the images both predict one class: the lower end of its 95 % interval.
        distance: The mean distance between the class probabilities is at most this, 0 to 1.
        latency_ratio: What 95 % of its calls take at most, is at most so many times what the model server's take.
    """

    images: float
    failures: float
    agreement: float
    distance: float
    latency_ratio: float

    @classmethod
    def read(cls, path: Path) -> "Bounds":
        """Read the file.

        Raises:
            CanaryError: It cannot be read, lacks a bound, or has something else.
        """
        try:
            with path.open("rb") as file:
                document = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise CanaryError(f"{path}: {error}") from None
        names = {field.name for field in fields(cls)}
        if document.keys() != names:
            wrong = ", ".join(sorted(document.keys() ^ names))
            raise CanaryError(
                f"{path} must have these bounds and no others: {', '.join(sorted(names))}. Look at {wrong}"
            )
        for name, value in document.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise CanaryError(f"{path}: {name} must be a number, and not negative: {value!r}")
        return cls(**document)

    def broken(self, report: Report) -> list[str]:
        """One line for each bound that the report does not keep. What was not measured, keeps none."""
        share, low, _ = report.agreement
        agreement = f"{share:.2%} of the images are of one class, and at least {low:.2%} by the 95 % interval"
        failures = f"{report.failures:.2%} of the requests for it were not answered by it"
        ratio = f"95 % of its calls take at most {report.latency_ratio:.2f} times what the model server's take"
        checks = (
            ("images", report.images, ge, f"{report.images:.0f} were compared", f"at least {self.images:g}"),
            ("failures", report.failures, le, failures, f"at most {self.failures:.2%}"),
            ("agreement", low, ge, agreement, f"at least {self.agreement:.2%}"),
            ("distance", report.distance, le, f"the mean is {report.distance:.4f}", f"at most {self.distance:g}"),
            ("latency_ratio", report.latency_ratio, le, ratio, f"at most {self.latency_ratio:g}"),
        )
        return [
            f"{name}: {'nothing was measured' if math.isnan(value) else said}; {asked} is asked for"
            for name, value, keeps, said, asked in checks
            if not keeps(value, getattr(self, name))
        ]
