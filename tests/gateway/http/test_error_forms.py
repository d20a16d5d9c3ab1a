import json
from http import HTTPStatus

import msgspec
import pytest

from gateway.http.error_forms import error_body
from gateway.http.problem import problem_document

PROBLEM = problem_document(HTTPStatus.NOT_FOUND, "What to do.", "an-id")


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/models/x"])
def test_the_protocol_s_form(path):
    body, media_type = error_body(path, PROBLEM)
    assert (json.loads(body), media_type) == ({"error": "What to do.", "request_id": "an-id"}, "application/json")


@pytest.mark.parametrize("path", ["", "/", "/v2x", "/predict", "/x/v2"])
def test_problem_details(path):
    body, media_type = error_body(path, PROBLEM)
    assert (json.loads(body), media_type) == (msgspec.to_builtins(PROBLEM), "application/problem+json")
