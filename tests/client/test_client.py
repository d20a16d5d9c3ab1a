"""The Python API against a server that fails as a test says."""

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from brain_tumor_client import (
    AsyncClient,
    Client,
    Dicom,
    Explanation,
    ImageRefused,
    ImageUnusable,
    KeyRefused,
    Model,
    NotTheService,
    OutOfDistribution,
    Prediction,
    RequestLost,
    Retry,
    ServiceBusy,
    ServiceFault,
    ServiceUnreachable,
    Window,
)
from brain_tumor_client.prediction import prediction_of
from tests.client.scripted_service import PNG, ScriptedService, cut, prediction, refuse, respond
from tests.processes import free_port, wait_until

QUICK = Retry(attempts=4, first_wait=0.01)


def client_of(service: ScriptedService, **options: object) -> Client:
    return Client(service.url, **{"retry": QUICK, "timeout": 20.0, **options})


def test_a_prediction_has_what_the_service_says(service: ScriptedService) -> None:
    with client_of(service) as client:
        result = client.classify(PNG, explain=True, view=True, frame=12)
    expected = prediction(PNG)
    assert result.class_name == expected["class"]
    assert result.probabilities == expected["probabilities"]
    assert result.confidence == 0.7
    assert result.out_of_distribution == OutOfDistribution(-9.5, False)
    assert (result.model_name, result.model_version, result.precision) == ("brain-tumor", 1, "int8")
    assert result.explanation == Explanation(result.class_name, PNG)
    assert result.view == PNG
    assert result.dicom == Dicom("MR", 12, 24, Window("file", 600.0, 1200.0, "LINEAR"))
    assert result.document["explanation"] == {"class": result.class_name}
    assert result.document["view"] == {}
    assert "png" not in repr(result.document)
    assert service.requests[0].query == {"explain": "true", "view": "true", "frame": "12"}


def test_a_service_that_does_not_say_its_precision_computes_in_float32() -> None:
    document = prediction(PNG)
    document["model"] = {"name": "brain-tumor", "version": 1}
    assert prediction_of(document).precision == "float32"


def test_a_prediction_without_options_asks_for_nothing_more(service: ScriptedService) -> None:
    with client_of(service) as client:
        result = client.classify(PNG)
    assert service.requests[0].query == {}
    assert (result.explanation, result.view, result.dicom, result.warnings) == (None, None, None, ())


def test_paths_and_arrays_become_files(service: ScriptedService, tmp_path: Path) -> None:
    path = tmp_path / "scan of somebody.png"
    path.write_bytes(PNG)
    with client_of(service) as client:
        for image in (path, str(path), np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint16)):
            client.classify(image)
    assert [request.body for request in service.requests[:2]] == [PNG, PNG]
    assert all(request.body.startswith(b"\x89PNG") for request in service.requests)
    assert "somebody" not in repr(service.requests)


@pytest.mark.parametrize(
    "image",
    [
        b"",
        bytes(101),
        Path("no such file"),
        Path("/dev/zero"),
        np.zeros((20, 30)),
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((20, 0), np.uint8),
    ],
)
def test_what_cannot_be_sent_is_not_sent(service: ScriptedService, image: object) -> None:
    with client_of(service, max_image_bytes=100) as client, pytest.raises(ImageUnusable):
        client.classify(image)
    assert service.requests == []


def test_dicom_files_are_sent_as_such(service: ScriptedService) -> None:
    with client_of(service) as client:
        client.classify(bytes(128) + b"DICM" + bytes(10))
        client.classify(PNG)
    assert [request.headers["Content-Type"] for request in service.requests] == [
        "application/dicom",
        "application/octet-stream",
    ]


def test_the_key_is_sent_as_bearer(service: ScriptedService) -> None:
    with client_of(service, api_key="a.key") as client:
        client.classify(PNG)
    assert service.requests[0].headers["Authorization"] == "Bearer a.key"


@pytest.mark.parametrize(
    ("status", "error"), [(400, ImageRefused), (413, ImageRefused), (415, ImageRefused), (422, ImageRefused)]
)
def test_a_refused_image_is_not_sent_again(service: ScriptedService, status: int, error: type[Exception]) -> None:
    service.behaviour = lambda handler, request: refuse(handler, status, "The image is too small.")
    with client_of(service) as client, pytest.raises(error, match="The image is too small") as raised:
        client.classify(PNG)
    assert raised.value.problem.status == status
    assert raised.value.problem.request_id == "abc"
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, KeyRefused), (403, KeyRefused), (404, NotTheService), (405, NotTheService), (500, ServiceFault)],
)
def test_other_statuses_are_errors_of_their_own(service: ScriptedService, status: int, error: type[Exception]) -> None:
    service.behaviour = lambda handler, request: refuse(handler, status)
    with client_of(service) as client, pytest.raises(error):
        client.classify(PNG)
    assert len(service.requests) == 1


def test_a_redirect_is_not_followed(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: refuse(handler, 307, Location="/elsewhere")
    with client_of(service, api_key="secret") as client, pytest.raises(NotTheService):
        client.classify(PNG)
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_service_is_asked_again(service: ScriptedService, status: int) -> None:
    service.behaviour = lambda handler, request: request.number < 3 and refuse(handler, status)
    with client_of(service) as client:
        assert client.classify(PNG).class_name
    assert len(service.requests) == 3


def test_retry_after_is_heeded(service: ScriptedService) -> None:
    moments = []

    def busy_once(handler, request) -> bool:
        moments.append(time.monotonic())
        return request.number == 1 and refuse(handler, 503, Retry_After="1")

    service.behaviour = busy_once
    with client_of(service) as client:
        client.classify(PNG)
    assert moments[1] - moments[0] >= 1


def test_who_would_have_to_wait_too_long_gives_up_at_once(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: refuse(handler, 429, "Slower.", Retry_After="3600")
    with client_of(service) as client, pytest.raises(ServiceBusy, match="Slower") as raised:
        client.classify(PNG)
    assert raised.value.problem.retry_after == 3600
    assert len(service.requests) == 1


def test_attempts_are_bounded(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: refuse(handler, 503)
    with client_of(service) as client, pytest.raises(ServiceBusy):
        client.classify(PNG)
    assert len(service.requests) == QUICK.attempts


def test_a_lost_connection_is_made_again(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: request.number < 3 and cut(handler)
    with client_of(service) as client:
        assert client.classify(PNG).class_name
    assert len(service.requests) == 3


def test_a_response_that_ends_early_counts_as_lost(service: ScriptedService) -> None:
    def half(handler, request) -> bool:
        handler.close_connection = True
        return respond(handler, 200, b'{"class": ', Content_Length="5000")

    service.behaviour = half
    with client_of(service) as client, pytest.raises(RequestLost):
        client.classify(PNG)


def test_a_dripping_response_ends_at_the_timeout(service: ScriptedService) -> None:
    def drip(handler, request) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not service.stopping.wait(0.02):
            handler.wfile.write(b" ")
        return True

    service.behaviour = drip
    with (
        client_of(service, timeout=0.3, retry=Retry(attempts=1)) as client,
        pytest.raises(RequestLost, match=r"0\.3 s"),
    ):
        client.classify(PNG)


def test_an_endless_response_is_not_read(service: ScriptedService) -> None:
    def endless(handler, request) -> bool:
        handler.send_response(200)
        handler.end_headers()
        while not service.stopping.is_set():
            handler.wfile.write(bytes(1 << 20))
        return True

    service.behaviour = endless
    with client_of(service) as client, pytest.raises(NotTheService, match="too large"):
        client.classify(PNG)


def test_a_compressed_response_is_not_inflated(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: respond(handler, 200, b"\x1f\x8b", Content_Encoding="gzip")
    with client_of(service) as client, pytest.raises(NotTheService):
        client.classify(PNG)
    assert service.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"class": "a", "probabilities": {"b": 1}}', b"\xff"])
def test_another_service_is_noticed(service: ScriptedService, body: bytes) -> None:
    service.behaviour = lambda handler, request: respond(handler, 200, body)
    with client_of(service) as client, pytest.raises(NotTheService):
        client.classify(PNG)


def test_nobody_at_the_port() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retry=QUICK) as client, pytest.raises(ServiceUnreachable):
        client.classify(PNG)


@pytest.mark.parametrize(
    "url", ["", "host:80", "ftp://host", "http://", "http://a:b@host", "http://host?x=1", "http://host:99999"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="Write it like"):
        AsyncClient(url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "\u00fc"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="Check the key") as raised:
        AsyncClient("http://127.0.0.1", api_key=key)
    assert not key or key not in str(raised.value)


def test_a_service_below_a_path(service: ScriptedService) -> None:
    service.behaviour = lambda handler, request: respond(handler, 200, prediction(request.body))
    with Client(f"{service.url}/a/path/") as client:
        client.classify(PNG)
    assert service.requests[0].path == "/a/path/predict"


def test_many_come_in_order_with_their_errors(service: ScriptedService) -> None:
    images = [PNG + str(number).encode() for number in range(30)]
    late = threading.Event()

    def behave(handler, request) -> bool:
        if request.body == images[0]:
            late.wait(20)
        elif request.body == images[25]:
            late.set()
        return request.body == images[7] and refuse(handler, 415)

    service.behaviour = behave
    with client_of(service) as client:
        results = list(client.classify_many(images, concurrency=8))
    assert isinstance(results.pop(7), ImageRefused)
    expected = [prediction(image)["request_id"] for image in images]
    expected.pop(7)
    assert [result.request_id for result in results if isinstance(result, Prediction)] == expected
    assert 2 <= service.most_at_a_time <= 8


def test_many_are_taken_only_as_needed(service: ScriptedService) -> None:
    taken = []

    def images():
        for number in range(1000):
            taken.append(number)
            yield PNG

    with client_of(service) as client:
        results = client.classify_many(images(), concurrency=2)
        for _ in range(5):
            next(results)
        results.close()
        assert len(taken) < 30
        assert client.classify(PNG).class_name, "the client is of use after that"


def test_an_error_of_the_iterable_reaches_the_caller(service: ScriptedService) -> None:
    def images():
        yield PNG
        raise LookupError("of the test")

    with client_of(service) as client, pytest.raises(LookupError, match="of the test"):
        list(client.classify_many(images()))


def test_asynchronous_calls(service: ScriptedService) -> None:
    async def calls() -> list[object]:
        async with AsyncClient(service.url, retry=QUICK) as client:
            one = await client.classify(PNG)
            return [
                one.class_name,
                *[result async for result in client.classify_many([PNG, b""])],
                await client.model(),
            ]

    name, first, second, model = asyncio.run(calls())
    assert name == first.class_name
    assert isinstance(second, ImageUnusable)
    assert model == Model("brain-tumor", 1, "Research.", "0.1.0")


def test_the_model(service: ScriptedService) -> None:
    with client_of(service) as client:
        assert client.model() == Model("brain-tumor", 1, "Research.", "0.1.0")


def test_the_model_that_the_gateway_has_not_met_yet(service: ScriptedService) -> None:
    def behave(handler, request) -> bool:
        if request.path == "/readyz":
            state = {"state": "available", "name": "brain-tumor", "version": 3}
            return respond(handler, 200, {"status": "ready", "model": state})
        return respond(handler, 200, {"name": "gateway", "version": "0.1.0", "model": None, "notice": "Research."})

    service.behaviour = behave
    with client_of(service) as client:
        assert client.model().version == 3


def test_threads_share_a_client(service: ScriptedService) -> None:
    with client_of(service) as client:
        threads = [threading.Thread(target=client.classify, args=(PNG,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(service.predictions) == 8


def test_a_closed_client_says_so_and_leaves_no_thread(service: ScriptedService) -> None:
    before = threading.active_count()
    client = client_of(service)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.classify(PNG)
    wait_until(lambda: threading.active_count() <= before, "the client's thread has ended", timeout=10)
