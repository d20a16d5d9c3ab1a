"""Paths of REST, with what TensorFlow Serving's own tests expect of them."""

import pytest

from portable_model_server.api import rest_paths
from portable_model_server.errors import ServingError
from serving_api.messages import ModelSpec

RESERVED = "!#$%&'()*+,/:;=?@[]"
ENCODED = "%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"


def spec(name: str, version: int | None = None, label: str = "") -> ModelSpec:
    expected = ModelSpec(name=name)
    if version is not None:
        expected.version.value = version
    if label:
        expected.version_label = label
    return expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("name", spec("name")),
        (f"name{ENCODED}", spec(f"name{RESERVED}")),
        ("name/versions/99", spec("name", 99)),
        ("name/versions/0", spec("name", 0)),
        ("name/labels/latest", spec("name", label="latest")),
        (f"name{ENCODED}/labels/latest{ENCODED}", spec(f"name{RESERVED}", label=f"latest{RESERVED}")),
        ("NAME/VERSIONS/9", spec("NAME", 9)),
        ("name/Labels/Latest", spec("name", label="Latest")),
        ("%C3%A9", spec("é")),
        ("\xc3\xa9", spec("é")),  # bytes as WSGI gives them
        ("%FF%zz", spec("\ufffd%zz")),
    ],
)
def test_models(rest: str, expected: ModelSpec) -> None:
    for prefix in ("/v1/models/", "/V1/Models/"):
        status = rest_paths.parse("GET", prefix + rest)
        assert (status.spec, status.method, status.metadata) == (expected, "", False)
        metadata = rest_paths.parse("GET", f"{prefix}{rest}/metadata")
        assert (metadata.spec, metadata.method, metadata.metadata) == (expected, "", True)
        for method in ("predict", "classify", "regress"):
            call = rest_paths.parse("POST", f"{prefix}{rest}:{method}")
            assert (call.spec, call.method, call.metadata) == (expected, method, False)


def test_the_last_word_has_one_case() -> None:
    """What TensorFlow Serving's pattern takes, its comparisons do not."""
    assert not rest_paths.parse("GET", "/v1/models/name/METADATA").metadata
    with pytest.raises(ServingError, match="Malformed request: POST /v1/models/name:Predict"):
        rest_paths.parse("POST", "/v1/models/name:Predict")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", "/v1/models/debug/name"),
        ("GET", "/v1/models/foo:predict"),
        ("GET", "/v1/models/foo/version/50:predict"),
        ("GET", "/v1/models/foo/versions/-1"),
        ("POST", "/v1/foo"),
        ("POST", "/v1/models"),
        ("POST", "/v1/models/foo"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/foo/version/50:regress"),
        ("POST", "/v1/models/foo/versions/HELLO:regress"),
        ("POST", "/v1/models/foo/versions/\u0663:regress"),
        ("POST", "/v1/models/foo/label/some:regress"),
        ("POST", "/v1/models/foo/versions/50/labels/some:regress"),
        ("POST", "/v1/models/foo/metadata"),
        ("POST", "/v1/models/foo:predict?a=b"),
        ("PUT", "/v1/models/foo:predict"),
        ("HEAD", "/v1/models/foo"),
    ],
)
def test_malformed(method: str, path: str) -> None:
    with pytest.raises(ServingError) as caught:
        rest_paths.parse(method, path)
    assert str(caught.value) == f"INVALID_ARGUMENT: Malformed request: {method} {path}"


def test_without_a_model() -> None:
    for path in ("/v1/models", "/V1/MODELS", "/v1/models/versions/1"):
        with pytest.raises(ServingError, match=r"INVALID_ARGUMENT: Missing model name in request\."):
            rest_paths.parse("GET", path)


@pytest.mark.parametrize("version", [2**63, 2**64 - 1, 10**30])
def test_versions_too_large(version: int) -> None:
    for method, end in (("GET", ""), ("POST", ":predict")):
        with pytest.raises(ServingError, match=f"INVALID_ARGUMENT: Failed to convert version: {version} to numeric"):
            rest_paths.parse(method, f"/v1/models/foo/versions/{version}{end}")
    assert rest_paths.parse("GET", f"/v1/models/foo/versions/{2**63 - 1}").spec.version.value == 2**63 - 1


def test_the_query_belongs_to_the_path() -> None:
    assert rest_paths.target("/v1/models/half%2F?a=b%20c") == "/v1/models/half%2F?a=b%20c"
    assert rest_paths.target("http://server:8501/v1/models/half") == "/v1/models/half"
    assert rest_paths.parse("GET", "/v1/models/half?a=b").spec.name == "half?a=b"


def test_where_the_api_is() -> None:
    assert all(map(rest_paths.is_call, ("/v1/", "/V1/foo", "/v1/models")))
    assert not any(map(rest_paths.is_call, ("/", "/v1", "/v2/models", "/statuspage", "/index")))
