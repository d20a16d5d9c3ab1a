"""Calls that wait share predictions: which of them, how large, and that none gets what is another one's."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from portable_model_server.engines.base import BusyError, EngineError, InvalidInputError
from portable_model_server.engines.saved_model import Signature, TensorInfo
from portable_model_server.errors import ServingError
from portable_model_server.serving.batching import BatchingParameters, batched, batched_where_it_pays
from portable_model_server.serving.config import batching_parameters
from serving_api.messages import SignatureDef
from tests.processes import wait_until
from tracing.spans import Span, entered

FLOAT, UINT8 = 1, 4
X = TensorInfo("x:0", FLOAT, (-1, 2))
Y = TensorInfo("y:0", FLOAT, (-1,))
DEFAULT = Signature({"x": X}, {"y": Y, "z": Y}, "", SignatureDef())
PARAMETERS = BatchingParameters(max_batch_size=4)


class SumModel:
    """Adds up the numbers of each row; ``held`` keeps its predictions waiting, negative numbers are refused."""

    engine, precision = "fake", "float32"
    paying_rows = 4

    def __init__(self, streams: int = 1, signature: Signature = DEFAULT) -> None:
        self.signatures = {"serving_default": signature, "describe": Signature({}, {"card": Y}, "", SignatureDef())}
        self.streams = streams
        self.batches: list[list[list[float]]] = []
        self.held = threading.Event()
        self.held.set()
        self.closed = False

    def predict(self, signature, inputs, outputs):
        if signature == "describe":
            return {"card": np.zeros(1)}
        self.batches.append(inputs["x"].tolist())
        assert self.held.wait(30)
        if (inputs["x"] < 0).any():
            raise InvalidInputError("negative")
        return {alias: self.of(inputs["x"]) for alias in outputs}

    def of(self, rows):
        return rows.sum(1)

    def close(self) -> None:
        self.closed = True


def rows(*numbers: float):
    return np.array([[number, 0] for number in numbers], np.float32)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


class Callers:
    """Callers of a model that is busy: the first one runs, the others wait in the order in which they came."""

    def __init__(self, pool, model: SumModel, served) -> None:
        self.pool, self.model, self.served = pool, model, served
        model.held.clear()
        self.results = []

    def call(self, *numbers: float, outputs=("y",)):
        """Call, and return once the call runs or waits."""
        before = len(self.model.batches) + len(self.served._turns["serving_default"]._waiting)
        future = self.pool.submit(self.served.predict, "serving_default", {"x": rows(*numbers)}, outputs)
        wait_until(
            lambda: (
                len(self.model.batches) + len(self.served._turns["serving_default"]._waiting) > before or future.done()
            ),
            "the call",
        )
        self.results.append(future)
        return future

    def go(self):
        """Let the model compute; return what each caller got."""
        self.model.held.set()
        return [future.result(30)["y"].tolist() for future in self.results]

    @property
    def batches(self):
        return [[row[0] for row in batch] for batch in self.model.batches]


def test_a_lone_call_runs_alone_and_at_once() -> None:
    model = SumModel()
    served = batched(model, PARAMETERS)
    assert served.predict("serving_default", {"x": rows(3)}, ["y"])["y"].tolist() == [3]
    assert served.predict("serving_default", {"x": rows(4, 5)}, ["y", "z"]).keys() == {"y", "z"}
    assert len(model.batches) == 2


def test_calls_that_wait_share_a_prediction(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched(model, PARAMETERS))
    for number in (1, 2, 3):
        callers.call(number)
    callers.call(4, 5)
    callers.call(6)
    assert callers.go() == [[1], [2], [3], [4, 5], [6]]
    assert callers.batches == [[1], [2, 3, 4, 5], [6]]


def test_only_calls_for_the_same_outputs_share(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched(model, PARAMETERS))
    callers.call(1)
    callers.call(2)
    callers.call(3, outputs=("y", "z"))
    callers.call(4)
    callers.call(5, outputs=("y", "z"))
    assert callers.go() == [[1], [2], [3], [4], [5]]
    assert callers.batches == [[1], [2, 4], [3, 5]]


def test_only_rows_of_the_same_size_share(pool) -> None:
    model = SumModel(signature=replace(DEFAULT, inputs={"x": replace(X, shape=(-1, -1))}))
    served = batched(model, PARAMETERS)
    callers = Callers(pool, model, served)
    callers.call(1)
    callers.call(2)
    wide = pool.submit(served.predict, "serving_default", {"x": np.ones((1, 3), np.float32)}, ["y"])
    wait_until(lambda: len(served._turns["serving_default"]._waiting) == 2, "the wide call")
    callers.call(4)
    assert callers.go() == [[1], [2], [4]]
    assert wide.result(30)["y"].tolist() == [3]
    assert [len(batch) for batch in model.batches] == [1, 2, 1]


def test_a_call_waits_no_longer_for_those_that_came_later(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched(model, PARAMETERS))
    callers.call(1)
    callers.call(2, 3, 4)
    callers.call(5, 6)
    callers.call(7)
    callers.call(8)
    assert callers.go() == [[1], [2, 3, 4], [5, 6], [7], [8]]
    assert callers.batches == [[1], [2, 3, 4, 7], [5, 6, 8]]


def test_as_many_predictions_at_once_as_the_engine_computes(pool) -> None:
    callers = Callers(pool, model := SumModel(streams=2), batched(model, PARAMETERS))
    for number in (1, 2, 3, 4):
        callers.call(number)
    assert callers.batches == [[1], [2]]
    assert callers.go() == [[1], [2], [3], [4]]
    assert callers.batches == [[1], [2], [3, 4]]


def test_fewer_predictions_at_once_on_request(pool) -> None:
    model = SumModel(streams=2)
    callers = Callers(pool, model, batched(model, replace(PARAMETERS, num_batch_threads=1)))
    callers.call(1)
    callers.call(2)
    assert callers.batches == [[1]]
    assert callers.go() == [[1], [2]]


def test_an_error_is_for_its_own_call_only(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched(model, PARAMETERS))
    callers.call(1)
    good, bad, also_good = callers.call(2), callers.call(-3), callers.call(4)
    model.held.set()
    assert (good.result(30)["y"], also_good.result(30)["y"]) == ([2], [4])
    with pytest.raises(InvalidInputError, match="negative"):
        bad.result(30)
    assert callers.served.predict("serving_default", {"x": rows(5)}, ["y"])["y"] == [5], "the place is free again"


def test_a_large_call_runs_alone(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched(model, PARAMETERS))
    callers.call(1)
    callers.call(2, 3, 4, 5, 6)
    callers.call(7)
    assert callers.go() == [[1], [2, 3, 4, 5, 6], [7]]
    assert callers.batches == [[1], [2, 3, 4, 5, 6], [7]]


def test_a_large_call_is_computed_in_parts() -> None:
    served = batched(model := SumModel(), replace(PARAMETERS, enable_large_batch_splitting=True))
    assert served.predict("serving_default", {"x": rows(*range(10))}, ["y"])["y"].tolist() == list(range(10))
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


def test_parts_whose_outputs_have_other_rows_are_not_joined() -> None:
    class First(SumModel):
        def of(self, rows):
            return rows.sum(1)[:1]

    served = batched(First(), replace(PARAMETERS, enable_large_batch_splitting=True))
    with pytest.raises(EngineError, match="does not have a row for each row"):
        served.predict("serving_default", {"x": rows(*range(10))}, ["y"])


def test_a_large_call_is_refused_as_tensorflow_serving_does() -> None:
    served = batched(model := SumModel(), replace(PARAMETERS, enable_large_batch_splitting=False))
    with pytest.raises(InvalidInputError, match="Task size 5 is larger than maximum input batch size 4"):
        served.predict("serving_default", {"x": rows(*range(5))}, ["y"])
    assert not model.batches


def test_a_full_queue_refuses(pool) -> None:
    model = SumModel()
    callers = Callers(pool, model, batched(model, BatchingParameters(max_batch_size=2, max_enqueued_batches=1)))
    callers.call(1)
    callers.call(2)
    callers.call(3)
    refused = callers.call(4)
    with pytest.raises(BusyError, match="The batch scheduling queue to which this task was submitted is full"):
        refused.result(30)
    callers.results.remove(refused)
    assert callers.go() == [[1], [2], [3]]


def test_batches_are_padded_to_allowed_sizes(pool) -> None:
    model = SumModel()
    callers = Callers(pool, model, batched(model, replace(PARAMETERS, allowed_batch_sizes=(2, 4))))
    callers.call(1)
    for number in (2, 3, 4):
        callers.call(number)
    assert callers.go() == [[1], [2], [3], [4]]
    assert callers.batches == [[1, 1], [2, 3, 4, 2]]


def test_outputs_without_rows_are_not_shared(pool) -> None:
    class Constant(SumModel):
        def of(self, rows):
            return np.float32(len(rows))

    callers = Callers(pool, model := Constant(), batched(model, PARAMETERS))
    for number in (1, 2, 3):
        callers.call(number)
    assert callers.go() == [1, 1, 1]


def test_wrong_inputs_and_other_signatures_go_to_the_engine() -> None:
    served = batched(model := SumModel(), PARAMETERS)
    assert served.predict("describe", {}, ["card"])["card"].shape == (1,)
    served.predict("serving_default", {"x": np.zeros((0, 2), np.float32)}, ["y"])
    assert model.batches == [[]]


def test_it_stands_for_the_model() -> None:
    served = batched(model := SumModel(streams=3), PARAMETERS)
    assert (served.engine, served.signatures, served.streams) == ("fake", model.signatures, 3)
    served.close()
    assert model.closed


def test_by_default_where_it_pays(pool) -> None:
    callers = Callers(pool, model := SumModel(), batched_where_it_pays(model))
    model.batches.clear()  # of the trial
    for number in (1, 2, 3):
        callers.call(number)
    assert callers.go() == [[1], [2], [3]]
    assert callers.batches == [[1], [2, 3]]


class ImageModel(SumModel):
    def __init__(self, paying: int) -> None:
        super().__init__(signature=replace(DEFAULT, inputs={"x": replace(X, shape=(-1, 2, 2))}))
        self.paying_rows = paying

    def of(self, rows):
        return rows.sum((1, 2))


@pytest.mark.parametrize("paying", [1, 2])
def test_by_default_a_large_call_of_images_is_computed_in_parts(paying: int) -> None:
    served = batched_where_it_pays(model := ImageModel(paying))
    model.batches.clear()  # of the trial
    images = np.arange(16, dtype=np.float32).reshape(4, 2, 2)
    assert served.predict("serving_default", {"x": images}, ["y"])["y"].tolist() == [6, 22, 38, 54]
    assert [len(batch) for batch in model.batches] == [paying] * (4 // paying)


def test_by_default_a_large_call_of_vectors_is_computed_at_once() -> None:
    served = batched_where_it_pays(model := SumModel())
    served.predict("serving_default", {"x": rows(*range(40))}, ["y"])
    assert len(model.batches[-1]) == 40


class Centered(SumModel):
    """Rows depend on each other, as in a batch normalization that was left in training."""

    def of(self, rows):
        return rows.sum(1) - rows.sum(1).mean()


class Dear(SumModel):
    paying_rows = 1


class Picky(SumModel):
    def of(self, rows):
        raise EngineError("numbers like these are not for me")


def test_texts_may_be_outputs_too() -> None:
    """The trial compares them; numbers that are neither are no reason to fail to load."""

    class Texts(SumModel):
        def of(self, rows):
            return np.array([str(row).encode() for row in rows.sum(1)], dtype=object)

    served = batched_where_it_pays(model := Texts())
    assert served is not model


@pytest.mark.parametrize(
    "model",
    [
        Centered(),
        Dear(),
        Picky(),
        SumModel(signature=replace(DEFAULT, outputs={"y": Y, "z": replace(Y, shape=())})),
        SumModel(signature=replace(DEFAULT, outputs={"y": Y, "z": replace(Y, shape=None)})),
        SumModel(signature=replace(DEFAULT, inputs={"x": replace(X, shape=(-1, -1))})),
        SumModel(signature=replace(DEFAULT, inputs={"x": replace(X, shape=(1, 2))})),
        SumModel(signature=replace(DEFAULT, inputs={"x": replace(X, dtype=7)})),
    ],
    ids=["rows depend", "does not pay", "fails", "scalar", "any rank", "any size", "one row", "strings"],
)
def test_by_default_only_where_it_is_safe_and_pays(model: SumModel) -> None:
    assert batched_where_it_pays(model) is model


def test_parameters_of_a_file() -> None:
    assert batching_parameters("") == BatchingParameters(1000, 10, None, (), enable_large_batch_splitting=False)
    text = """
        max_batch_size { value: 8 } batch_timeout_micros { value: 5000 } max_enqueued_batches { value: 3 }
        num_batch_threads { value: 2 } thread_pool_name { value: "any" } allowed_batch_sizes: [2, 8]
        enable_large_batch_splitting { value: true }
    """
    assert batching_parameters(text) == BatchingParameters(8, 3, 2, (2, 8), enable_large_batch_splitting=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 8", "Error parsing text-format tensorflow.serving.BatchingParameters"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("max_enqueued_batches { value: -1 }", "max_enqueued_batches must be positive"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]", r"end with max_batch_size \(8\)"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]", "ascend"),
        ("pad_variable_length_inputs: true", "not supported"),
    ],
)
def test_wrong_parameters(text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        batching_parameters(text)


def test_many_callers(pool) -> None:
    """Under many callers each gets its own rows, and nearly all of them a shared prediction."""
    model = SumModel()
    served = batched(model, PARAMETERS)
    together = threading.Barrier(16)

    def call(caller: int) -> None:
        together.wait(30)
        for turn in range(50):
            numbers = [caller * 1000 + turn, turn][: 1 + caller % 2]
            assert served.predict("serving_default", {"x": rows(*numbers)}, ["y"])["y"].tolist() == numbers

    for future in [pool.submit(call, caller) for caller in range(16)]:
        future.result(60)
    assert sum(map(len, model.batches)) == 50 * 24


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    from portable_model_server.flags import Flags
    from portable_model_server.server import _arrangement

    flags = Flags(enable_batching=True, batching_parameters_file=str(tmp_path / "none"))
    with pytest.raises(ServingError, match="Cannot read"):
        _arrangement(flags)


class Told(Span):
    """A span that remembers what is added to it."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict[str, object]]] = []

    def add_child(self, name, start, end, attributes=None):
        assert 0 < start <= end
        self.added.append((name, dict(attributes or {})))


def test_each_call_tells_its_own_span_how_it_was_computed(pool) -> None:
    model = SumModel()
    served = batched(model, PARAMETERS)
    spans = [Told() for _ in range(3)]
    model.held.clear()

    def call(span: Told, number: float) -> None:
        with entered(span):
            served.predict("serving_default", {"x": rows(number)}, ["y"])

    futures = [pool.submit(call, spans[0], 1)]
    wait_until(lambda: len(model.batches) == 1, "the first call")
    futures += [pool.submit(call, span, 2) for span in spans[1:]]
    wait_until(lambda: len(served._turns["serving_default"]._waiting) == 2, "two calls that wait")
    model.held.set()
    for future in futures:
        future.result(30)
    assert spans[0].added == [("compute", {"batch.calls": 1, "batch.rows": 1})]
    assert spans[1].added == spans[2].added == [("wait", {}), ("compute", {"batch.calls": 2, "batch.rows": 2})]


def test_a_call_that_fails_tells_it_too() -> None:
    model = SumModel()
    served = batched(model, PARAMETERS)
    span = Told()
    with entered(span), pytest.raises(InvalidInputError):
        served.predict("serving_default", {"x": rows(-1)}, ["y"])
    assert span.added == [("compute", {"batch.calls": 1, "batch.rows": 1})]
