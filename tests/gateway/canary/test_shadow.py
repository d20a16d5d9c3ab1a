"""What the canary says of requests that stable has answered."""

import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from werkzeug.test import EnvironBuilder

from brain_tumor import contract
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from gateway.canary import breaker, shadow
from gateway.canary.shadow import total_variation
from gateway.canary.shadow_threads import MOST_WAITING, THREADS, ShadowThreads
from gateway.classify import kept
from gateway.edge.messages import Response, call
from tests.brain_tumor import images
from tests.gateway.calls import PNG, form, predict, wanting
from tests.gateway.canary.counted import answered_by, calls, predictions, requested, shadowed, value
from tests.gateway.fake_model_server import FakeModel, abort_with, hold_until, metadata, wait_for
from tests.gateway.http.open_inference.bodies import BLUE, GREEN, RED, files, infer, of_pixels, pixels

STABLE = ("stable", 1)
PREDICT = contract.PREDICT_SIGNATURE


@pytest.fixture
def client(with_canary):
    return with_canary(shadow=100)


def until_shadowed(client, **expected: float) -> None:
    wait_for(lambda: shadowed(client) == expected)


def opposite(outputs):
    """The probabilities of another model: those of this one the other way round."""
    return {**outputs, contract.PROBABILITIES: np.ascontiguousarray(outputs[contract.PROBABILITIES][:, ::-1])}


def test_a_request_is_compared(client, model_server, canary_server):
    assert answered_by(predict(client)) == STABLE
    until_shadowed(client, compared=1)
    assert requested(client) == {}
    assert value(client, "gateway_shadow_images_total") == value(client, "gateway_shadow_agreements_total") == 1
    assert value(client, 'gateway_shadow_distance_bucket{le="0.001"}') == 1
    assert calls(client) == {"stable": 1, "canary": 1}
    assert predictions(client) == {"1": 1}
    np.testing.assert_array_equal(canary_server.batches[0], model_server.batches[0])


def test_how_far_the_models_are_apart(client, model_server, canary_server):
    canary_server.edit = opposite
    client.post("/predict", data=form(images.GLIOMA, b"bad", images.NOTUMOR))
    until_shadowed(client, compared=1)
    assert value(client, "gateway_shadow_images_total") == 2
    assert value(client, "gateway_shadow_agreements_total") == 0
    probabilities = model_server.model.outputs(model_server.batches[0])[contract.PROBABILITIES]
    expected = np.abs(probabilities - probabilities[:, ::-1]).sum() / 2
    assert value(client, "gateway_shadow_distance_sum") == pytest.approx(expected, abs=1e-6)
    assert value(client, "gateway_shadow_distance_count") == 2


def test_total_variation():
    first, second = np.array([0.7, 0.2, 0.1], np.float32), np.array([0.1, 0.2, 0.7], np.float32)
    assert total_variation(first, second) == pytest.approx(0.6)
    assert total_variation(first, first) == 0
    assert total_variation(np.array([1, 0], np.float32), np.array([0, 1], np.float32)) == 1


def test_the_shadow_s_share(with_canary):
    client = with_canary(shadow=0)
    assert answered_by(predict(client)) == STABLE
    assert calls(client) == {"stable": 1}
    assert shadowed(client) == {}


def test_what_the_canary_answers_has_no_shadow(with_canary, canary_server):
    client = with_canary(share=100, shadow=100)
    assert answered_by(predict(client))[0] == "canary"
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    assert answered_by(predict(client)) == STABLE  # in the canary's place
    assert answered_by(client.post("/predict", data=images.GLIOMA, headers=wanting("stable"))) == STABLE
    until_shadowed(client, failed=1)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (grpc.StatusCode.INTERNAL, "failed"),
        (grpc.StatusCode.UNAVAILABLE, "unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "slow"),
    ],
)
def test_a_canary_that_fails(client, canary_server, code, outcome):
    canary_server.fault = abort_with(code)
    assert answered_by(predict(client)) == STABLE
    until_shadowed(client, **{outcome: 1})
    assert value(client, "gateway_shadow_images_total") == 0


def test_a_canary_that_was_never_there(with_canary):
    client = with_canary(shadow=100, canary_server="127.0.0.1:1")
    assert answered_by(predict(client)) == STABLE
    until_shadowed(client, unavailable=1)


def test_a_model_of_another_kind_is_not_compared(client, canary_server):
    canary_server.model = FakeModel(metadata(class_names=("a", "b", "c", "d")), version=2)
    assert answered_by(predict(client)) == STABLE
    until_shadowed(client, mismatch=1)
    assert canary_server.count(PREDICT) == 0


def test_a_canary_that_is_left_out_gets_no_shadows(client, canary_server, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 600.0)
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    for number in range(1, breaker.FAILURES + 1):
        predict(client)
        until_shadowed(client, failed=number)
    predict(client)
    until_shadowed(client, failed=breaker.FAILURES, dropped=1)


def test_images_are_prepared_for_the_canary_from_pixels_that_are_decoded_once(client, canary_server, monkeypatch):
    canary_server.model = FakeModel(metadata(height=30, width=20, resampling="nearest"), version=2)
    predict(client)
    until_shadowed(client, dropped=1)  # how the canary takes its images is not known before its first response
    decoded = []
    read_image = Preprocessor.prepare.__globals__["read_image"]
    monkeypatch.setitem(
        Preprocessor.prepare.__globals__,
        "read_image",
        lambda *given, **named: decoded.append(1) or read_image(*given, **named),
    )
    image = images.noise((90, 70))
    client.post("/predict", data=form(images.encode(image), images.GLIOMA))
    until_shadowed(client, dropped=1, compared=1)
    assert len(decoded) == 2
    expected = Preprocessor(ImageSpec(30, 20, "nearest")).from_bytes(images.encode(image))
    np.testing.assert_array_equal(canary_server.batches[0][:1], expected)
    assert value(client, "gateway_shadow_images_total") == 2


def test_activation_maps_are_asked_for_as_the_request_did_if_the_canary_has_them(client, canary_server):
    predict(client, "?explain=true")
    until_shadowed(client, compared=1)
    assert contract.ACTIVATION_MAPS in canary_server.calls[-1][1]
    canary_server.model = FakeModel(metadata(explains=False), version=3)
    predict(client, "?explain=true")
    until_shadowed(client, compared=1, dropped=1)  # which finds that out
    predict(client, "?explain=true")
    until_shadowed(client, compared=2, dropped=1)


def test_large_images_are_sent_in_several_calls(client, model_server, canary_server):
    for server, version in ((model_server, 1), (canary_server, 2)):
        server.model = FakeModel(metadata(height=1000, width=1000), version=version)
    client.post("/predict", data=form(*[images.GLIOMA] * 3))
    until_shadowed(client, compared=1)
    assert [len(batch) for batch in canary_server.batches] == [1, 1, 1]
    assert value(client, "gateway_shadow_images_total") == 3


def test_open_inference_has_shadows_too(client, canary_server):
    infer(client, files(images.GLIOMA))
    until_shadowed(client, compared=1)
    several = pixels(RED, GREEN, BLUE)
    infer(client, of_pixels(several, several.tolist()))
    until_shadowed(client, compared=2)
    np.testing.assert_array_equal(canary_server.batches[1], several)
    assert value(client, "gateway_shadow_agreements_total") == 4
    canary_server.model = FakeModel(metadata(height=8, width=9), version=3)
    infer(client, files(images.GLIOMA))  # finds that out
    until_shadowed(client, compared=2, dropped=1)
    infer(client, of_pixels(several, several.tolist()))
    assert shadowed(client) == {"compared": 2, "dropped": 1}  # pixels that the canary does not take are no shadow


def test_a_request_without_a_usable_image_has_no_shadow(client):
    client.post("/predict", data=form(b"bad", b"worse"))
    client.post("/predict", data=b"bad", headers=PNG)
    assert shadowed(client) == {}


def at_the_edge(client) -> Response:
    """The response to one image, as the edge has it before the client does."""
    environ = EnvironBuilder("/predict", method="POST", data=images.GLIOMA, headers=PNG).get_environ()
    response = call(client.application.wsgi_app, environ)
    assert response.status == 200
    return response


def test_nothing_is_done_before_the_response_is_there(client, canary_server):
    response = at_the_edge(client)
    assert canary_server.calls == []
    (job,) = response.after
    job()
    until_shadowed(client, compared=1)


def test_what_is_never_done_gives_its_memory_back(with_canary, monkeypatch):
    monkeypatch.setattr(kept.ByteBudget.__init__, "__defaults__", (24 * 32 * 3,))  # one image
    client = with_canary(shadow=100)
    for _ in range(3):  # clients that leave before their response is written
        assert len(at_the_edge(client).after) == 1
    predict(client)
    until_shadowed(client, compared=1)
    client.post("/predict", data=form(images.GLIOMA, images.GLIOMA))  # more than there is room for
    until_shadowed(client, compared=1, dropped=1)
    predict(client)
    until_shadowed(client, compared=2, dropped=1)


def test_a_canary_that_hangs_holds_few_threads_and_little_else(with_canary, canary_server, monkeypatch):
    monkeypatch.setattr("gateway.model.usual_time.UNKNOWN", 20.0)
    client = with_canary(shadow=100)
    predict(client)
    until_shadowed(client, compared=1)
    release = threading.Event()
    canary_server.fault = hold_until(release, PREDICT)
    monkeypatch.setattr("gateway.model.usual_time.SHORTEST", 20.0)
    try:
        began = canary_server.count(PREDICT)
        for _ in range(THREADS):
            predict(client)
        wait_for(lambda: canary_server.count(PREDICT) == began + THREADS)
        for _ in range(MOST_WAITING + 5):
            assert answered_by(predict(client)) == STABLE
        assert canary_server.count(PREDICT) == began + THREADS
        assert shadowed(client) == {"compared": 1, "dropped": 5}
    finally:
        release.set()
    until_shadowed(client, compared=1 + THREADS + MOST_WAITING, dropped=5)
    wait_for(lambda: not shadow_threads())


def shadow_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "shadow"]


def test_without_shadow_work_there_are_no_threads(make_client, with_canary):
    before = shadow_threads()  # of other tests, which end within a second
    for client in (make_client(), with_canary(share=50), with_canary(share=0)):
        for _ in range(3):
            predict(client)
    assert set(shadow_threads()) <= set(before)


def test_without_a_canary_nothing_is_called(make_client, model_server):
    client = make_client()
    predict(client)
    assert len(model_server.peers) == 1  # one connection
    assert "gateway_canary_requests_total{" not in client.get("/metrics").get_data(as_text=True)


def test_a_job_that_fails_ends_no_thread(caplog):
    threads, done = ShadowThreads(threads=1), threading.Event()

    def fail() -> None:
        raise MemoryError

    assert threads.add(fail)
    assert threads.add(done.set)
    assert done.wait(20)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "unexpected"


def test_jobs_run_in_order_and_many_may_come_at_a_time():
    threads, ran, go = ShadowThreads(threads=1, most_waiting=100), [], threading.Event()
    assert threads.add(lambda: go.wait(20))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda number: threads.add(lambda: ran.append(number)), range(50)))
    for number in range(100, 103):
        assert threads.add(lambda number=number: ran.append(number))
    go.set()
    wait_for(lambda: len(ran) == 53)
    assert ran[50:] == [100, 101, 102]


def test_a_system_without_threads_drops_the_job(monkeypatch):
    def start(self) -> None:
        raise RuntimeError("can't start new thread")

    threads = ShadowThreads()
    monkeypatch.setattr(threading.Thread, "start", start)
    assert not threads.add(lambda: None)


def test_a_thread_without_work_takes_the_next_job_or_ends():
    threads, ran = ShadowThreads(threads=1), []
    for number in range(3):
        assert threads.add(lambda: ran.append(threading.current_thread()))
        wait_for(lambda number=number: len(ran) == number + 1)
    wait_for(lambda: not ran[-1].is_alive())
    assert threads.add(lambda: ran.append(threading.current_thread()))
    wait_for(lambda: len(ran) == 4)


def test_prepared_pixels_keep_nothing_else_of_their_request(client, canary_server, monkeypatch):
    found = []
    monkeypatch.setattr(shadow.Shadows, "add", lambda self, one: found.append(one.held.pixels))
    several = pixels(RED, GREEN)
    infer(client, of_pixels(several, several.tolist()))
    assert [array.base for array in found[0]] == [None, None]


def test_a_thread_that_waits_for_work_keeps_none_of_the_last():
    threads = ShadowThreads(threads=1)
    done = threading.Event()

    class Job:
        def __call__(self) -> None:
            done.set()

    job = Job()
    forgotten = weakref.ref(job)
    assert threads.add(job)
    del job
    assert done.wait(20)
    wait_for(lambda: forgotten() is None)
