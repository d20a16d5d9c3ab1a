"""Model configurations from flags and from text."""

from pathlib import Path

import pytest

from portable_model_server.errors import ServingError
from portable_model_server.serving.config import metrics_path, parse_models, read_text, single_model
from portable_model_server.serving.version_policy import All, Latest, Specific

TWO = """
model_config_list {
  config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
  config {
    name: "b" base_path: "/models/b" model_platform: "tensorflow"
    model_version_policy { specific { versions: 3 versions: 5 } }
    version_labels { key: "stable" value: 3 }
  }
  config { name: "c" base_path: "/c" model_type: TENSORFLOW model_version_policy { latest { num_versions: 2 } } }
  config { name: "d" base_path: "/d" model_platform: "tensorflow" model_version_policy { all {} } }
}
"""


def test_several_models() -> None:
    a, b, c, d = parse_models(TWO)
    assert (a.name, a.base_path, a.policy, a.labels) == ("a", Path("/models/a"), Latest(1), {})
    assert (b.policy, b.labels) == (Specific(frozenset({3, 5})), {"stable": 3})
    assert (c.policy, d.policy) == (Latest(2), All())


def test_a_file_uri_is_a_path() -> None:
    (model,) = single_model("m", "file:///models/m")
    assert model.base_path == Path("/models/m")


def test_an_empty_configuration_is_one() -> None:
    assert parse_models("") == []


def config(text: str) -> str:
    return f"model_config_list {{ config {{ {text} }} }}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense {", "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        (config('name: "a" base_path: "/a"'), "Illegal setting neither"),
        (config('name: "a" base_path: "/a" model_platform: "other"'), "unsupported platform other"),
        (config('name: "a" base_path: "a" model_platform: "tensorflow"'), "to have an absolute path"),
        (
            config('name: "a" base_path: "s3://b/a" model_platform: "tensorflow"'),
            "begins with s3://, and only files",
        ),
        (
            config('name: "a" base_path: "GS://b/a" model_platform: "tensorflow"'),
            "begins with GS://, and only files",
        ),
        (config('name: "a" base_path: "file://a" model_platform: "tensorflow"'), "to have an absolute path"),
        (config('base_path: "/a" model_platform: "tensorflow"'), "has no name"),
        ("custom_model_config {}", "custom_model_config is not supported"),
        (
            'model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" } '
            'config { name: "a" base_path: "/b" model_platform: "tensorflow" } }',
            "Illegal to list model a multiple times",
        ),
    ],
)
def test_wrong_configurations(text: str, message: str) -> None:
    with pytest.raises(ServingError, match="INVALID_ARGUMENT") as caught:
        parse_models(text)
    assert message in caught.value.message


def test_a_relative_path_on_the_command_line() -> None:
    with pytest.raises(ServingError, match="absolute"):
        single_model("a", "models")


def test_monitoring() -> None:
    assert metrics_path("prometheus_config { enable: true }") == "/monitoring/prometheus/metrics"
    assert metrics_path('prometheus_config { enable: true path: "/metrics" }') == "/metrics"
    assert metrics_path("") is None
    with pytest.raises(ServingError, match=r"tensorflow\.serving\.MonitoringConfig"):
        metrics_path("x")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="No such file"):
        read_text(str(tmp_path / "none"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ServingError, match="UTF-8"):
        read_text(str(tmp_path / "binary"))
