import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import grpc
import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract
from brain_tumor.preprocess import Preprocessor
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, predict
from tests.gateway.fake_model_server import FakeModel, fake_model_server, metadata, wait_for

OTHER = {"class_names": ("a", "b", "c"), "height": 30, "width": 20}


def swap(model_server, **changes: object) -> None:
    """Put a new version in place of the old one."""
    model_server.model = FakeModel(metadata(**changes), version=model_server.model.version + 1)


def test_other_size_and_classes(client, model_server):
    assert predict(client).get_json()["class"] == "glioma"
    swap(model_server, **OTHER)
    document = predict(client).get_json()
    assert (document["class"], document["model"]["version"]) == ("a", 2)
    assert model_server.batches[-1].shape == (1, 30, 20, 3)
    calls = len(model_server.calls)
    assert predict(client).get_json()["class"] == "a"
    assert len(model_server.calls) == calls + 1  # the new metadata is cached


def test_other_classes_of_the_same_size_need_no_second_prediction(client, model_server):
    predict(client)
    swap(model_server, class_names=("a", "b", "c", "d"))
    assert predict(client).get_json()["class"] == "a"
    assert model_server.count(contract.PREDICT_SIGNATURE) == 2
    assert model_server.count(contract.DESCRIBE_SIGNATURE) == 2


def test_other_resampling(client, model_server):
    data = images.encode(images.noise())
    client.post("/predict", data=data, headers=PNG)
    swap(model_server, resampling="nearest")
    assert client.post("/predict", data=data, headers=PNG).status_code == 200
    before, wrong, right = model_server.batches
    np.testing.assert_array_equal(before, wrong)
    assert (right != before).any()


@pytest.mark.parametrize("step", ["crop_to_head", "pad_to_aspect_ratio"])
def test_another_preparation_of_the_same_size(client, model_server, step):
    head = Image.new("RGB", (90, 64))
    head.paste((200, 30, 30), (5, 10, 60, 60))
    data = images.encode(head)
    client.post("/predict", data=data, headers=PNG)
    swap(model_server, **{step: True})
    assert client.post("/predict", data=data, headers=PNG).get_json()["model"]["version"] == 2
    before, wrong, right = model_server.batches
    np.testing.assert_array_equal(before, wrong)
    np.testing.assert_array_equal(right, Preprocessor(model_server.model.metadata.image).from_bytes(data))
    assert (right != before).any()


def test_a_batch_in_which_images_of_two_models_met_is_sent_again(client, model_server):
    """TensorFlow Serving with batching refuses all its calls, also those whose images have the right size."""
    refusals = iter([grpc.StatusCode.FAILED_PRECONDITION])

    def refuse(signature, context):
        if signature == contract.PREDICT_SIGNATURE and (code := next(refusals, None)):
            context.abort(code, "Tensors with name 'images:0' from different tasks have different shapes")

    model_server.fault = refuse
    assert predict(client).get_json()["class"] == "glioma"
    assert model_server.count(contract.PREDICT_SIGNATURE) == 2


def test_a_model_without_shape_guard_is_found_out(client, model_server):
    predict(client)
    swap(model_server, **OTHER)
    model_server.model.guards_shape = False
    assert predict(client).get_json()["class"] == "a"
    assert model_server.batches[-1].shape == (1, 30, 20, 3)


def test_back_to_an_older_version(client, model_server):
    predict(client)
    first = model_server.model
    swap(model_server, **OTHER)
    predict(client)
    model_server.model = first
    document = predict(client).get_json()
    assert (document["class"], document["model"]["version"]) == ("glioma", 1)


def test_explaining_goes_away_with_a_swap(client, model_server):
    assert predict(client, "?explain=true").status_code == 200
    swap(model_server, explains=False)
    check_problem(predict(client, "?explain=true"), 422)
    assert predict(client).status_code == 200


def test_explaining_arrives_with_a_swap(make_client, model_server):
    client = make_client(max_age=0.0)
    model_server.model = FakeModel(metadata(explains=False))
    check_problem(predict(client, "?explain=true"), 422)
    swap(model_server)
    assert "explanation" in predict(client, "?explain=true").get_json()


def test_another_model_under_the_same_version_is_noticed_by_its_size(client, model_server):
    predict(client)
    model_server.model = FakeModel(metadata(**OTHER))
    assert predict(client).get_json()["class"] == "a"


def test_another_model_under_the_same_version_is_noticed_by_its_count_of_classes(client, model_server):
    predict(client)
    model_server.model = FakeModel(metadata(class_names=("a", "b")))
    assert predict(client).get_json()["class"] == "a"


def test_another_model_under_the_same_version_is_noticed_when_the_metadata_is_old(make_client, model_server):
    client = make_client(max_age=0.0)
    predict(client)
    model_server.model = FakeModel(metadata(class_names=("a", "b", "c", "d")))
    assert predict(client).get_json()["class"] == "a"


def test_swap_between_describe_and_predict(client, model_server):
    swaps = iter([OTHER, {}])

    def then_swap() -> None:
        if (changes := next(swaps, None)) is not None:
            swap(model_server, **changes)

    model_server.after_describe = then_swap
    document = predict(client).get_json()
    assert (document["class"], document["model"]["version"]) == ("glioma", 3)


def test_the_version_that_responded_is_gone_before_its_metadata_is_read(client, model_server):
    predict(client)
    swap(model_server, class_names=("a", "b", "c", "d"))

    def then_swap(outputs):
        if model_server.model.version == 2:
            swap(model_server, class_names=("e", "f", "g", "h"))
        return outputs

    model_server.edit = then_swap
    document = predict(client).get_json()
    assert (document["class"], document["model"]["version"]) == ("e", 3)


def test_a_model_that_never_stops_changing_ends_in_an_error(client, model_server):
    sides = iter(range(16, 4000))

    def then_swap() -> None:
        swap(model_server, height=next(sides))

    model_server.after_describe = then_swap
    check_problem(predict(client), 503)
    assert len(model_server.calls) < 30


def test_the_url_is_not_fetched_again(make_client, model_server, web):
    client = make_client(url_allowed_networks=(ip_network("127.0.0.0/8"),), url_ports=frozenset({web.port}))
    url = web.serve("/scan.png", images.GLIOMA)
    predict(client)
    swap(model_server, **OTHER)
    assert client.post("/predict", json={"url": url}).get_json()["class"] == "a"
    assert len(web.requests) == 1


def test_swaps_while_requests_run_lose_none(client, model_server):
    stop = threading.Event()
    expected = {1: "glioma", 2: "a", 3: "glioma", 4: "a"}

    def keep_predicting() -> list[tuple[int, str, int]]:
        seen = []
        own = client.application.test_client()
        while not stop.is_set():
            response = predict(own)
            document = response.get_json()
            seen.append((response.status_code, document.get("class"), document.get("model", {}).get("version")))
        return seen

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(keep_predicting) for _ in range(4)]
        try:
            for changes in (OTHER, {}, OTHER):
                done = len(model_server.batches)
                wait_for(lambda done=done: len(model_server.batches) > done + 20)
                swap(model_server, **changes)
            done = len(model_server.batches)
            wait_for(lambda: len(model_server.batches) > done + 20)
        finally:
            stop.set()
        seen = [entry for worker in workers for entry in worker.result(20)]
    assert {status for status, _, _ in seen} == {200}
    assert {version for _, _, version in seen} == {1, 2, 3, 4}
    assert all(name == expected[version] for _, name, version in seen)


@pytest.mark.parametrize("changes", [OTHER, {"class_names": ("a", "b", "c", "d")}], ids=["size", "classes"])
def test_replicas_with_different_versions(make_client, model_server, changes):
    # A roll-out: one replica still has the old image, another the new one.
    with fake_model_server() as second:
        second.model = FakeModel(metadata(**changes), version=2)
        client = make_client(model_server=f"ipv4:{model_server.address},{second.address}")
        seen = set()
        for _ in range(30):
            response = predict(client)
            assert response.status_code == 200, response.get_json()
            seen.add((response.get_json()["model"]["version"], response.get_json()["class"]))
        assert seen <= {(1, "glioma"), (2, "a")}
        assert model_server.batches
        assert second.batches
