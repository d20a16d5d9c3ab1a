"""What a request costs each tier: given, read from a file, or measured by ``measure``."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.capacity.pods import Costs


@dataclass(frozen=True)
class Times:
    """Service times; all CPU times are of one core.

    Attributes:
        gateway_cpu: Milliseconds of CPU that a gateway spends on a request that it serves.
        refusal_cpu: Milliseconds of CPU that it spends on one that it refuses.
        model_cpu: Milliseconds of CPU that a model server spends on a call.
        model_variation: The coefficient of variation of that.
        network: Milliseconds from a gateway to a model server and back.
        connection_cpu: Milliseconds of CPU that both ends together spend on a new gRPC connection.
        connection_memory: Bytes of memory that a connection takes at the gateway.
    """

    gateway_cpu: float
    refusal_cpu: float
    model_cpu: float
    model_variation: float
    network: float
    connection_cpu: float
    connection_memory: float

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is below 0, or a request costs less than its refusal.
        """
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must be 0 or more")
        if not self.refusal_cpu < self.gateway_cpu or not self.model_cpu:
            raise ValueError("gateway_cpu must be above refusal_cpu, and model_cpu above 0")

    def costs(self) -> Costs:
        """The same as the simulation takes it, in seconds."""
        return Costs(
            self.refusal_cpu / 1e3,
            (self.gateway_cpu - self.refusal_cpu) / 1e3,
            self.model_cpu / 1e3,
            self.model_variation,
            self.network / 1e3,
        )

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read(path: Path) -> dict[str, float]:
    """Read what ``Times.write`` has written; parts may be missing.

    Raises:
        ValueError: It is no JSON object of these numbers.
    """
    document = json.loads(path.read_text())
    names = {field.name for field in fields(Times)}
    if not isinstance(document, dict) or not document.keys() <= names:
        raise ValueError(f"{path} must be a JSON object with some of {', '.join(sorted(names))}")
    return {name: float(value) for name, value in document.items()}
