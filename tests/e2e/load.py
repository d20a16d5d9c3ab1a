"""Open-loop load from inside the cluster, by vegeta, and the outcome of every single request."""

import base64
import contextlib
import io
import json
import subprocess
import tarfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.e2e.kubectl import Kubectl
from tests.processes import EXAMPLES

CASES = ("glioma", "meningioma", "notumor", "pituitary")
LONGEST_S = 1000  # the longest attack; it ends by itself even if the test fails
REQUEST_TIMEOUT_S = 30  # above the gateway's deadline


@dataclass(frozen=True)
class Request:
    """One request and its response.

    Attributes:
        case: The sample image that was sent.
        started: The time it was sent, in seconds since the epoch by the load pod's clock.
        seconds: The time until its response was complete, or until it failed.
        status: The response's status. 0 if there was no response; ``error`` then says why.
        error: The reason why there was no response; empty otherwise.
        retry_after: The response's Retry-After header; empty without one.
        body: The response's body.
    """

    case: str
    started: float
    seconds: float
    status: int
    error: str
    retry_after: str
    body: bytes

    @property
    def succeeded(self) -> bool:
        return self.status == 200

    @property
    def refused(self) -> bool:
        """Whether the gateway refused it and said when to try again."""
        return self.status == 503 and self.retry_after.isdigit()

    @property
    def prediction(self) -> tuple[str, dict[str, float]]:
        document = json.loads(self.body)
        return document["class"], document["probabilities"]


class Outcome(list[Request]):
    """All requests of one attack, in the order in which they were sent."""

    @property
    def succeeded(self) -> "Outcome":
        return Outcome(request for request in self if request.succeeded)

    @property
    def refused(self) -> "Outcome":
        return Outcome(request for request in self if request.refused)

    @property
    def failed(self) -> "Outcome":
        return Outcome(request for request in self if not request.succeeded)

    @property
    def lost(self) -> "Outcome":
        """Requests that neither succeeded nor were refused."""
        return Outcome(request for request in self if not request.succeeded and not request.refused)

    def between(self, start: float, end: float) -> "Outcome":
        return Outcome(request for request in self if start <= request.started < end)

    def seconds(self, percentile: float) -> float:
        times = sorted(request.seconds for request in self)
        return times[min(int(len(times) * percentile / 100), len(times) - 1)] if times else 0.0

    def wrong(self, expected: dict[str, Any]) -> "Outcome":
        """Requests whose prediction is not the expected one of their case, by ``same_prediction``."""
        return Outcome(
            request for request in self.succeeded if not same_prediction(request.prediction, expected[request.case])
        )

    def __str__(self) -> str:
        kinds = Counter(f"{request.status} {request.error}".strip() for request in self)
        counts = ", ".join(f"{count:,} x {kind}" for kind, count in sorted(kinds.items()))
        return f"{len(self):,} requests ({counts}), p50 {self.seconds(50):.3f} s, p99 {self.seconds(99):.3f} s"


def same_prediction(one: Any, other: Any) -> bool:
    (class_name, probabilities), (other_name, others) = one, other
    return class_name == other_name and all(
        abs(probability - others[name]) < 1e-4 for name, probability in probabilities.items()
    )


class Attack:
    """A running attack."""

    def __init__(self, kubectl: Kubectl, process: "subprocess.Popen[bytes]", file: str) -> None:
        self._kubectl = kubectl
        self._process = process
        self._file = file

    def sent(self) -> bool:
        """Whether all requests were sent."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Send no more requests. Those that were sent still get their responses."""
        self._kubectl("exec", "load", "--", "sh", "-c", f"kill -INT $(cat {self._file}.pid)", check=False)

    def outcome(self) -> Outcome:
        """Wait for the end and return all requests."""
        _, errors = self._process.communicate(timeout=LONGEST_S + REQUEST_TIMEOUT_S)
        assert self._process.returncode == 0, errors.decode()
        lines = self._kubectl(
            "exec", "load", "--", "sh", "-c", f"vegeta encode --to json {self._file}; rm {self._file}*"
        )
        return Outcome(sorted(_requests(lines.splitlines()), key=lambda request: request.started))


class Load:
    """The pod that sends the load: the sample images, and those that a test adds."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self.add({case: (EXAMPLES / f"{case}.jpg").read_bytes() for case in CASES})

    def add(self, images: Mapping[str, bytes]) -> None:
        """Bring JPEG files into the pod, by the names under which they are sent."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as files:
            for case, image in images.items():
                member = tarfile.TarInfo(f"{case}.jpg")
                member.size = len(image)
                files.addfile(member, io.BytesIO(image))
        command = ("exec", "--stdin", "load", "--", "tar", "--extract", "--no-same-owner", "--directory=/tmp")
        self._kubectl(*command, given=archive.getvalue())

    def start(
        self,
        service: str,
        *,
        rate: str,
        seconds: float = LONGEST_S,
        workers: int | None = None,
        keepalive: bool = False,
        cases: Iterable[str] = CASES,
    ) -> Attack:
        """Begin to send images in turn.

        Args:
            service: The name of the gateway's Service.
            rate: Requests a second, which are sent even if no responses come. "0" sends one whenever a worker is free.
            seconds: The duration, unless the attack is stopped before.
            workers: The most requests at a time; necessary for a rate of 0.
            keepalive: Whether connections are used again. Otherwise each request has its own connection.
            cases: The images, by the names that they were added under.
        """
        file = f"/tmp/{time.monotonic_ns()}"
        targets = "\n\n".join(
            f"POST http://{service}/predict?case={case}\nContent-Type: image/jpeg\n@/tmp/{case}.jpg" for case in cases
        )
        flags = f"-rate={rate} -duration={min(seconds, LONGEST_S)}s -timeout={REQUEST_TIMEOUT_S}s -output={file}"
        flags += f" -keepalive={str(keepalive).lower()}" + (f" -max-workers={workers}" if workers else "")
        script = f"echo $$ > {file}.pid; exec vegeta attack {flags}"
        process = subprocess.Popen(
            self._kubectl.command("exec", "--stdin", "load", "--", "sh", "-c", script),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stdin
        process.stdin.write(targets.encode())
        process.stdin.close()
        process.stdin = None  # otherwise communicate() would write to it
        return Attack(self._kubectl, process, file)

    def run(self, service: str, *, rate: str, seconds: float, workers: int | None = None) -> Outcome:
        return self.start(service, rate=rate, seconds=seconds, workers=workers).outcome()

    @contextlib.contextmanager
    def during(
        self, service: str, *, rate: int, at_least: int, keepalive: bool = False, cases: Iterable[str] = CASES
    ) -> Iterator[Outcome]:
        """Load while the block runs, and until ``at_least`` requests were sent. Afterwards the outcome is complete."""
        outcome = Outcome()
        started = time.monotonic()
        attack = self.start(service, rate=str(rate), keepalive=keepalive, cases=cases)
        try:
            yield outcome
            go_on_for(started + at_least / rate + 2 - time.monotonic())
            assert not attack.sent(), "the attack ended before the block"
        finally:
            attack.stop()
            outcome.extend(attack.outcome())


def go_on_for(seconds: float) -> None:
    """Let the load go on for a time. To wait for an event, wait for the event itself, never for a time."""
    time.sleep(max(seconds, 0))


def _requests(lines: Iterable[str]) -> Iterator[Request]:
    for line in lines:
        result = json.loads(line)
        yield Request(
            case=result["url"].rpartition("case=")[2],
            started=datetime.fromisoformat(result["timestamp"]).timestamp(),
            seconds=result["latency"] / 1e9,
            status=result["code"],
            error=_kind(result["error"]) if not result["code"] else "",
            retry_after=((result["headers"] or {}).get("Retry-After") or [""])[0],
            body=base64.b64decode(result["body"] or ""),
        )


def _kind(error: str) -> str:
    """A transport error without the addresses, so that equal errors are counted together."""
    return error.rpartition(": ")[2]
