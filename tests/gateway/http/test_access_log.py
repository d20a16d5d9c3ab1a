import logging

import pytest

from tests.brain_tumor import images
from tests.gateway.calls import PNG


@pytest.mark.parametrize("client_id", ["a" * 64, "A.b_c-9"])
def test_a_sane_request_id_is_kept(client, client_id):
    response = client.post("/predict", data=images.GLIOMA, headers={**PNG, "X-Request-ID": client_id})
    assert response.headers["X-Request-ID"] == response.get_json()["request_id"] == client_id


@pytest.mark.parametrize("client_id", ["", "a" * 65, "a b", "<script>", "ä", "a/b"])
def test_any_other_request_id_is_replaced(client, client_id):
    response = client.post("/predict", data=images.GLIOMA, headers={**PNG, "X-Request-ID": client_id})
    made = response.headers["X-Request-ID"]
    assert made == response.get_json()["request_id"]
    assert made != client_id
    assert len(made) == 16


def test_one_line_a_request_without_client_data(client, caplog):
    caplog.set_level(logging.INFO)
    client.post("/predict?explain=true", data=images.GLIOMA, headers=PNG)
    client.get("/patient-doe?name=doe")
    client.get("/livez")
    messages = [entry.getMessage() for entry in caplog.records]
    assert [message.split(" in ")[0] for message in messages] == ["/predict 200", "unmatched 404"]
