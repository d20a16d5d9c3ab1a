"""Rounds in which each server is started, asked and ended, one after the other.

A server is started anew in each round, and no other one exists meanwhile: so none takes CPU or memory bandwidth while
it waits, no page is shared with another one (which would make its PSS smaller), and the start is measured as often as
the rest. Each round begins with another server.
"""

import contextlib
import http.client
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.load import NoResponse, drive
from benchmarks.peers.networks import Network, class_names
from benchmarks.peers.running import Request, Server, ask, running
from benchmarks.peers.summary import Sample, percentile
from brain_tumor.processes import free_port

_TIMEOUT = 60.0  # seconds
_WARM_UP = 5  # responses before a lone client is measured
_WARM_UP_LOADED = 1  # responses for each of several clients


@dataclass(frozen=True)
class Contender:
    """A peer that can run here, and the Python that runs it."""

    peer: Peer
    python: Path


@dataclass(frozen=True)
class Bench:
    """What all servers share in one run.

    Attributes:
        network: The network.
        images: JPEG files.
        logs: The folder for the servers' output.
    """

    network: Network
    images: Sequence[bytes]
    logs: Path

    def probabilities(self, contender: Contender) -> list[list[float]]:
        """What a server responds to each image.

        Raises:
            Unavailable: It does not start or does not respond with probabilities.
        """
        with self.running(contender) as (server, _, request):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT)
            try:
                documents = [json.loads(ask(connection, request, number)) for number in range(len(self.images))]
                return [contender.peer.interface.decode(document, class_names(self.network)) for document in documents]
            except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
                raise Unavailable(f"its responses cannot be read: {type(error).__name__}: {error}") from error
            finally:
                connection.close()

    def sample(self, contender: Contender, clients: int, seconds: float) -> Sample:
        """One server in one round: a lone client, then several.

        Raises:
            Unavailable: It does not start.
            NoResponse: A request failed.
        """
        with self.running(contender) as (server, start, request):
            alone = drive(server, request, 1, seconds, _WARM_UP)
            loaded = drive(server, request, clients, seconds, _WARM_UP_LOADED)
            return Sample(
                start=start,
                median=statistics.median(alone.latencies),
                p95=percentile(alone.latencies, 0.95),
                rate=loaded.rate,
                cpu_alone=alone.cpu,
                cpu_loaded=loaded.cpu,
                memory=server.memory(),
                own_cpu=alone.own_cpu,
            )

    @contextlib.contextmanager
    def running(self, contender: Contender) -> Iterator[tuple[Server, float, Request]]:
        """A server, the seconds that its start took, and what to ask it.

        Raises:
            Unavailable: It does not start.
        """
        peer, port = contender.peer, free_port()
        encoded = [peer.interface.encode(image) for image in self.images]
        request = Request(peer.interface.path, encoded[0][0], [body for _, body in encoded])
        tiers = peer.tiers(contender.python, self.network, port)
        with running(tiers, port, request, self.logs / f"{peer.name}.log") as (server, start):
            yield server, start, request


def alternate(
    bench: Bench, contenders: Sequence[Contender], rounds: int, clients: int, seconds: float
) -> Iterator[Mapping[str, Sample]]:
    """The samples of each round, by name. Who fails in a round is not in it, and is named on standard error."""
    for number in range(rounds):
        first = number % len(contenders)
        samples = {}
        for contender in (*contenders[first:], *contenders[:first]):
            try:
                samples[contender.peer.name] = bench.sample(contender, clients, seconds)
            except (Unavailable, NoResponse) as error:
                print(f"{contender.peer.name} failed in round {number + 1}: {error}", file=sys.stderr, flush=True)
        print(f"round {number + 1} of {rounds} is done", file=sys.stderr, flush=True)
        yield samples
