"""Open-loop load from inside the cluster, by vegeta, and what became of every single request."""

import base64
import contextlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.e2e.kubectl import Kubectl
from tests.processes import EXAMPLES

CASES = ("glioma", "meningioma", "notumor", "pituitary")
LONGEST_S = 400  # of one attack: each ends by itself, whatever becomes of the test
REQUEST_TIMEOUT_S = 30  # above the gateway's deadline


@dataclass(frozen=True)
class Request:
    """One request and its answer.

    Attributes:
        case: which of the sample images was sent.
        started: when it was sent, in seconds since the epoch by the load pod's clock.
        seconds: until its answer was complete, or it failed.
        status: of the answer; 0 if there was none, and ``error`` says why.
        retry_after: the header of that name; empty without.
        body: of the answer.
    """

    case: str
    started: float
    seconds: float
    status: int
    error: str
    retry_after: str
    body: bytes

    @property
    def answered(self) -> bool:
        return self.status == 200

    @property
    def refused(self) -> bool:
        """Whether it was told when to come back."""
        return self.status == 503 and self.retry_after.isdigit()

    @property
    def prediction(self) -> tuple[str, dict[str, float]]:
        document = json.loads(self.body)
        return document["class"], document["probabilities"]


class Outcome(list[Request]):
    """All requests of one attack, in the order in which they were sent."""

    @property
    def answered(self) -> "Outcome":
        return Outcome(each for each in self if each.answered)

    @property
    def refused(self) -> "Outcome":
        return Outcome(each for each in self if each.refused)

    @property
    def failed(self) -> "Outcome":
        return Outcome(each for each in self if not each.answered)

    @property
    def lost(self) -> "Outcome":
        """Neither answered nor told when to come back."""
        return Outcome(each for each in self if not each.answered and not each.refused)

    def between(self, start: float, end: float) -> "Outcome":
        return Outcome(each for each in self if start <= each.started < end)

    def seconds(self, percentile: float) -> float:
        times = sorted(each.seconds for each in self)
        return times[min(int(len(times) * percentile / 100), len(times) - 1)] if times else 0.0

    def wrong(self, expected: dict[str, Any]) -> "Outcome":
        """Answers that are not those expected of their cases, by ``same_prediction``."""
        return Outcome(each for each in self.answered if not same_prediction(each.prediction, expected[each.case]))

    def __str__(self) -> str:
        kinds = Counter(f"{each.status} {each.error}".strip() for each in self)
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
        """Whether all was sent."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Send no more; what was sent is waited for."""
        self._kubectl("exec", "load", "--", "sh", "-c", f"kill -INT $(cat {self._file}.pid)", check=False)

    def outcome(self) -> Outcome:
        """Wait for the end and count."""
        _, errors = self._process.communicate(timeout=LONGEST_S + REQUEST_TIMEOUT_S)
        assert self._process.returncode == 0, errors.decode()
        lines = self._kubectl(
            "exec", "load", "--", "sh", "-c", f"vegeta encode --to json {self._file}; rm {self._file}*"
        )
        return Outcome(sorted(_requests(lines.splitlines()), key=lambda request: request.started))


class Load:
    """The pod that sends the load."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        for case in CASES:
            image = (EXAMPLES / f"{case}.jpg").read_bytes()
            kubectl("exec", "--stdin", "load", "--", "sh", "-c", f"cat > /tmp/{case}.jpg", given=image)

    def start(
        self,
        service: str,
        *,
        rate: str,
        seconds: float = LONGEST_S,
        workers: int | None = None,
        keepalive: bool = False,
    ) -> Attack:
        """Begin to send the sample images in turn.

        Args:
            service: the gateway's, by name.
            rate: requests a second, sent whether or not answers come; "0" sends one whenever a worker is free.
            seconds: how long, unless stopped before.
            workers: at most so many requests at a time; needed for a rate of 0.
            keepalive: whether connections are used again, or each request is a client of its own.
        """
        file = f"/tmp/{time.monotonic_ns()}"
        targets = "\n\n".join(
            f"POST http://{service}/predict?case={case}\nContent-Type: image/jpeg\n@/tmp/{case}.jpg" for case in CASES
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
        process.stdin = None  # or communicate() would write to it
        return Attack(self._kubectl, process, file)

    def run(self, service: str, *, rate: str, seconds: float, workers: int | None = None) -> Outcome:
        return self.start(service, rate=rate, seconds=seconds, workers=workers).outcome()

    @contextlib.contextmanager
    def during(self, service: str, *, rate: int, at_least: int, keepalive: bool = False) -> Iterator[Outcome]:
        """Load while the block runs, and until at least so many requests were sent; filled when it is left."""
        outcome = Outcome()
        started = time.monotonic()
        attack = self.start(service, rate=str(rate), keepalive=keepalive)
        try:
            yield outcome
            go_on_for(started + at_least / rate + 5 - time.monotonic())
            assert not attack.sent(), "the attack was over before what it was to accompany"
        finally:
            attack.stop()
            outcome.extend(attack.outcome())


def go_on_for(seconds: float) -> None:
    """Let the load go on. Whoever waits for something to happen waits for that, and not for a time."""
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
    """A transport error without the addresses, so that equal ones are counted together."""
    return error.rpartition(": ")[2]
