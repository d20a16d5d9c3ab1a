"""What the gateway's metrics count of a canary, and who answered a request."""

import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def requested(client: FlaskClient) -> dict[str, float]:
    """Requests whose turn it was to go to the canary, by outcome; those that there were."""
    return _by_label(client, "gateway_canary_requests_total", "outcome")


def shadowed(client: FlaskClient) -> dict[str, float]:
    """Shadows by outcome; those that there were."""
    return _by_label(client, "gateway_shadow_requests_total", "outcome")


def calls(client: FlaskClient) -> dict[str, float]:
    """Calls of both models whose time was taken, by the model's label."""
    return _by_label(client, "gateway_model_seconds_count", "label")


def value(client: FlaskClient, series: str) -> float:
    """The value of one series."""
    (found,) = re.findall(rf"^{re.escape(series)} (\S+)$", _text(client), re.MULTILINE)
    return float(found)


def predictions(client: FlaskClient) -> dict[str, float]:
    """Predictions that were answered, by the model version that they are counted for."""
    counts: dict[str, float] = {}
    series = re.compile(r'^gateway_predictions_total{.*model_version="(.*?)".*} (\S+)$', re.MULTILINE)
    for version, number in series.findall(_text(client)):
        counts[version] = counts.get(version, 0) + float(number)
    return counts


def answered_by(response: TestResponse) -> tuple[str, int]:
    """Label and version of the model that made a response for one image."""
    assert response.status_code == 200, response.get_data(as_text=True)
    model = response.get_json()["model"]
    return model["label"], model["version"]


def _by_label(client: FlaskClient, metric: str, label: str) -> dict[str, float]:
    found = re.findall(rf'^{metric}{{{label}="(\w+)"}} (\S+)$', _text(client), re.MULTILINE)
    return {value: float(number) for value, number in found if float(number)}


def _text(client: FlaskClient) -> str:
    return client.get("/metrics").get_data(as_text=True)
