"""Calls the model server: each request goes to one replica, and to another one if that does not respond.

The first attempt has a time limit of its own where another replica is in service and a repetition can be paid for.
Without this it may take as long as the request: a model server whose replicas are all slow gets hardly more calls than
requests.
"""

import time
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from threading import Lock

import grpc

from gateway.deadline import ClientLeft, Deadline
from gateway.model.channel import Replica
from gateway.model.lookup import Lookup
from gateway.model.replicas import Replicas
from gateway.model.responses import (
    ModelError,
    ModelMismatch,
    ModelOverloaded,
    ModelServerProblem,
    ModelTooSlow,
    ModelUnavailable,
)
from gateway.model.retry_budget import RetryBudget
from gateway.model.usual_time import UsualTimes
from serving_api.messages import PredictResponse
from tracing.spans import current

_ADDRESSES_WITHIN = 2.0  # seconds to wait for the first addresses
_MOST_ATTEMPTS = 3  # of one request, if none but replicas that failed are left
_PAUSE = 0.05  # seconds before a replica that failed is asked again; doubles
_PROBLEMS: dict[grpc.StatusCode, type[ModelServerProblem]] = {
    grpc.StatusCode.UNAVAILABLE: ModelUnavailable,
    grpc.StatusCode.CANCELLED: ModelUnavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ModelOverloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: ModelTooSlow,
    grpc.StatusCode.INVALID_ARGUMENT: ModelMismatch,
    # With batching, TensorFlow Serving refuses a whole batch in which images of two sizes met.
    grpc.StatusCode.FAILED_PRECONDITION: ModelMismatch,
}
# How an attempt ends. All but the first two are followed by another attempt, where there is time for one.
RESPONSE, CLIENT_LEFT = "response", "client_left"
UNAVAILABLE, HUNG, EJECTED = "unavailable", "hung", "ejected"


class _AttemptFailed(Exception):
    """An attempt brought no response; another may."""

    def __init__(self, result: str, error: grpc.RpcError) -> None:
        super().__init__(result)
        self.result = result
        self.error = error


@dataclass
class _Request:
    """A request and where it was sent.

    Attributes:
        data: The serialised PredictRequest.
        kind: What it is alike in time to.
        deadline: When its response is no longer wanted.
        tried: The replicas of its failed attempts.
        hung: The replica that did not respond within ``patience``.
        patience: Seconds that this replica had.
    """

    data: bytes
    kind: Hashable
    deadline: Deadline
    tried: list[Replica] = field(default_factory=list)
    hung: Replica | None = None
    patience: float = 0.0


class Connection:
    """Calls all replicas of a model server; connects on the first call. Safe to share between threads.

    Args:
        server: ``host:port``, where every address of the host is a replica's, or a gRPC target that lists addresses.
        trial: A cheap request, serialised, sent to replicas that failed before they get others.
    """

    def __init__(self, server: str, trial: bytes) -> None:
        self._replicas = Replicas(Lookup(server), trial, self._count_ejection)
        self._usual_times = UsualTimes()
        self._budget = RetryBudget()
        self._lock = Lock()
        self._attempts: Counter[str] = Counter()
        self._ejections = 0

    def predict(self, request: bytes, kind: Hashable, deadline: Deadline) -> PredictResponse:
        """Send a request and wait for its response.

        Args:
            request: A serialised PredictRequest.
            kind: What makes calls alike in time: what is asked for, and for how many images.
            deadline: Ends the call, also when the client leaves.

        Raises:
            ModelServerProblem: There is no response, or its status is an error.
            DeadlineExceeded: The deadline passed before there was anything to send to.
            ClientLeft: Nobody waits for the response.
        """
        self._budget.earn()
        sent = _Request(request, kind, deadline)
        while True:
            replica = self._choose(sent)
            try:
                response, seconds = self._attempt(replica, sent)
            except _AttemptFailed as failed:
                self._count(failed.result)
                current().event("attempt failed", {"result": failed.result, "replica": replica.target})
                sent.tried.append(replica)
                if not self._may_repeat(sent, failed):
                    raise _problem(failed.error) from None
            else:
                self._count(RESPONSE)
                current().set("replica", replica.target)
                # Both may have been slow for the same reason.
                if sent.hung and seconds < sent.patience:
                    self._replicas.missed(sent.hung)
                self._usual_times.add(kind, seconds)
                return response

    def results(self) -> Mapping[str, int]:
        """How many attempts ended in which way so far: ``response``, ``unavailable``, ``hung``, ..."""
        with self._lock:
            return dict(self._attempts)

    @property
    def ejections(self) -> int:
        """How often a replica was taken out of service."""
        return self._ejections

    def close(self) -> None:
        """End the connections."""
        self._replicas.close()

    def _choose(self, sent: _Request) -> Replica:
        replica = self._replicas.pick(sent.tried, min(sent.deadline.remaining(), _ADDRESSES_WITHIN))
        if replica is None and sent.tried:
            replica = self._replicas.pick((), 0)
        if replica is None:
            raise ModelUnavailable("NO_ADDRESS", "the model server's name leads to no address")
        return replica

    def _attempt(self, replica: Replica, sent: _Request) -> tuple[PredictResponse, float]:
        """Call one replica; return its response, and the seconds that it took.

        Raises:
            ModelServerProblem: The replica responded with an error.
            ClientLeft: Nobody waits for the response.
            _AttemptFailed: The replica did not respond, or could not be reached.
        """
        remaining = sent.deadline.remaining()
        patience = self._usual_times.patience(sent.kind)
        # Once for each request: if the next replica hangs too, its ejection ends the call.
        limited = (
            sent.hung is None
            and patience + self._usual_times.mean(sent.kind) < remaining
            and self._replicas.another_in_service(sent.tried, than=replica)
            and self._budget.take()
        )
        ejections, unused = replica.ejections, limited
        started = time.monotonic()
        call = replica.start(sent.data, patience if limited else remaining, current().headers)
        try:
            with sent.deadline.on_cancel(call.cancel), self._replicas.calling(replica, call, ejections):
                (response,) = call
        except grpc.RpcError as error:
            code = error.code()
            if sent.deadline.cancelled:
                self._count(CLIENT_LEFT)
                raise ClientLeft from None
            if code is grpc.StatusCode.CANCELLED and replica.ejections != ejections:
                raise _AttemptFailed(EJECTED, error) from None
            # The server counts the same time limit, and may be a little ahead.
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and limited and time.monotonic() - started > 0.9 * patience:
                unused = False
                sent.hung, sent.patience = replica, patience
                raise _AttemptFailed(HUNG, error) from None
            if code is grpc.StatusCode.UNAVAILABLE:
                self._replicas.unavailable(replica)
                raise _AttemptFailed(UNAVAILABLE, error) from None
            if code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                self._replicas.responded(replica)
            self._count(code.name.lower())
            raise _problem(error) from None
        except ValueError:
            raise ModelError("BAD_RESPONSE", "a call has one response") from None
        finally:
            if unused:
                self._budget.give_back()
        self._replicas.responded(replica)
        return response, time.monotonic() - started

    def _may_repeat(self, sent: _Request, failed: _AttemptFailed) -> bool:
        """Whether another attempt follows a failed one; waits before a replica that failed is asked."""
        if failed.result != UNAVAILABLE or self._replicas.another_in_service(sent.tried, than=sent.tried[-1]):
            return True  # paid already, or for free: another replica is in service, and this one is no longer
        if len(sent.tried) >= _MOST_ATTEMPTS or not self._budget.take():
            return False
        time.sleep(min(_PAUSE * 2 ** (len(sent.tried) - 1), sent.deadline.remaining()))
        return True

    def _count(self, result: str) -> None:
        with self._lock:
            self._attempts[result] += 1

    def _count_ejection(self) -> None:
        self._ejections += 1


def _problem(error: grpc.RpcError) -> ModelServerProblem:
    current().set("rpc.response.status_code", error.code().name)
    kind = _PROBLEMS.get(error.code(), ModelError)
    return kind(error.code().name, error.details() or "")
