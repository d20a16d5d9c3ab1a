"""What the integration tests send, and how they check problem responses."""

import requests

from tests.processes import EXAMPLES


def example(class_name: str) -> bytes:
    """The sample scan of a class."""
    return (EXAMPLES / f"{class_name}.jpg").read_bytes()


def predict(gateway: str, client: requests.Session | None = None) -> requests.Response:
    """Send the sample scan of a glioma to the gateway with this URL."""
    headers = {"Content-Type": "image/jpeg"}
    return (client or requests).post(f"{gateway}/predict", data=example("glioma"), headers=headers, timeout=30)


def assert_problem(response: requests.Response, status: int) -> None:
    """Check that a response is a problem with this status, and says nothing about the inside of the service."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert "127.0.0.1" not in response.text and "grpc" not in response.text.lower()
