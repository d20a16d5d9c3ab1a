"""How tests call the gateway's API, and how they check what comes back."""

import io

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.brain_tumor import images

PNG = {"Content-Type": "image/png"}


def predict(client: FlaskClient, query: str = "") -> TestResponse:
    """Send one image that the fake model calls glioma."""
    return client.post(f"/predict{query}", data=images.GLIOMA, headers=PNG)


def wanting(version: str) -> dict[str, str]:
    """Headers of an image for one of two models."""
    return {**PNG, "X-Model-Version": version}


def form(*files: bytes) -> dict[str, object]:
    """The data of a multipart form that holds these images."""
    return {"image": [(io.BytesIO(data), f"patient-{number}.png") for number, data in enumerate(files)]}


def check_problem(response: TestResponse, status: int) -> dict[str, object]:
    """Check that the response is a complete problem with this status; return the problem."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    document = response.get_json(force=True)
    assert set(document) == {"type", "title", "status", "detail", "request_id"}
    assert document["type"] == "about:blank"
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["detail"].endswith((".", ")", '"url".', "-data."))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return document


def count_model_errors(client: FlaskClient) -> dict[str, float]:
    """The errors of the model server that the gateway's metrics count, by code."""
    counts = {}
    for line in client.get("/metrics").get_data(as_text=True).splitlines():
        if line.startswith("gateway_model_errors_total{"):
            counts[line.split('"')[1]] = float(line.split()[-1])
    return counts
