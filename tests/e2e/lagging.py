"""Endpoints that lag: a test copies a Service's endpoints to another Service, some seconds after each change."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.e2e.kubectl import Kubectl, KubectlError
from tests.processes import wait_until

LAG_S = 3.0


@contextlib.contextmanager
def lagging_copies(kubectl: Kubectl, services: tuple[str, ...]) -> Iterator[None]:
    """While the block runs, copy the endpoints of each Service ``NAME`` to ``NAME-lagging``, some seconds late."""
    with contextlib.ExitStack() as stack:
        for service in services:
            copier = _Copier(kubectl, service)
            stack.callback(copier.stop)
            wait_until(lambda copier=copier: copier.applied or copier.error, f"a copy of {service}")
            stack.callback(_raise_from, copier)
        yield


class _Copier:
    """A thread that watches a Service's one EndpointSlice (a slice holds 100 pods)."""

    def __init__(self, kubectl: Kubectl, service: str) -> None:
        self._kubectl = kubectl
        self._service = service
        self._stopping = False
        self.applied = 0
        self.error: Exception | None = None
        self._watch = subprocess.Popen(
            kubectl.command(
                "get", "endpointslices", f"--selector=kubernetes.io/service-name={service}", "--watch", "--output=json"
            ),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._timers: list[threading.Timer] = []
        self._order = threading.Lock()
        self._newest = 0.0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._watch.terminate()
        self._watch.wait()
        self._thread.join()
        if self._watch.stdout:
            self._watch.stdout.close()
        for timer in self._timers:
            timer.cancel()
            if timer.is_alive():
                timer.join()

    def _follow(self) -> None:
        assert self._watch.stdout
        text, decoder = "", json.JSONDecoder()
        for line in self._watch.stdout:
            text += line
            if line.rstrip() == "}":  # the end of an object: inner ones are indented
                seen, _ = decoder.raw_decode(text.lstrip())
                text = ""
                timer = threading.Timer(LAG_S, self._apply, (seen, time.monotonic()))
                timer.daemon = True
                self._timers.append(timer)
                timer.start()
        if not self._stopping:
            self.error = AssertionError(f"the watch of {self._service} ended")

    def _apply(self, seen: dict[str, Any], moment: float) -> None:
        name = f"{self._service}-lagging"
        copy = {
            **{key: seen[key] for key in ("apiVersion", "kind", "addressType", "ports")},
            "endpoints": seen["endpoints"] or [],
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "brain-tumor-e2e",
                },
            },
        }
        with self._order:
            if moment < self._newest:
                return
            self._newest = moment
            try:
                self._kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=json.dumps(copy))
                self.applied += 1
            except (KubectlError, subprocess.TimeoutExpired) as error:
                self.error = error


def _raise_from(copier: _Copier) -> None:
    if copier.error:
        raise copier.error
