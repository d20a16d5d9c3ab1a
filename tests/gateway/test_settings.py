import re
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path

import pytest

from brain_tumor.contract import MODEL_NAME
from brain_tumor.image import MAX_PIXELS
from gateway.settings import VARIABLES, Settings, SettingsError, markdown_table
from tests.processes import ROOT


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env(dict.fromkeys(VARIABLES.values(), " ")) == Settings()
    assert Settings().model_name == MODEL_NAME
    assert Settings().max_pixels == MAX_PIXELS  # not taken from there: gunicorn's master imports no Pillow


def test_no_two_settings_have_the_same_variable():
    assert len(set(VARIABLES.values())) == len(VARIABLES)


def test_the_documented_table_is_the_code_s():
    text = (ROOT / "docs" / "settings.md").read_text()
    table = text.partition("<!-- settings: begin -->\n")[2].partition("<!-- settings: end -->")[0]
    assert table == markdown_table()


def test_the_defaults_of_the_table_are_read_back_as_the_defaults():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| \S.* \|$", markdown_table(), re.MULTILINE))
    assert rows.keys() == set(VARIABLES.values())
    assert Settings.from_env(rows) == Settings()
    defaults = asdict(Settings())
    for field, variable in VARIABLES.items():
        assert bool(rows[variable]) == (defaults[field] not in (None, "", (), frozenset())), variable


def test_every_variable_is_read(tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    environ = {
        "GATEWAY_BIND": "127.0.0.1:8080",
        "GATEWAY_HEADER_SECONDS": "4",
        "GATEWAY_WRITE_SECONDS": "5",
        "GATEWAY_IDLE_SECONDS": "6",
        "GATEWAY_CONNECTION_SECONDS": "20",
        "GATEWAY_LINGER_SECONDS": "7",
        "GATEWAY_MAX_CONNECTIONS": "100",
        "GATEWAY_MAX_HELD_BYTES": "2000000",
        "GATEWAY_MAX_FETCHES": "3",
        "MODEL_SERVER_ADDRESS": "model-server.default.svc:8500",
        "MODEL_NAME": "other",
        "MODEL_VERSION_LABEL": "proven",
        "CANARY_SERVER_ADDRESS": "ipv4:10.0.0.1:8500,10.0.0.2:8500",
        "CANARY_VERSION_LABEL": "next",
        "GATEWAY_CANARY_FILE": "/comes/later.toml",
        "GATEWAY_DEADLINE_SECONDS": "2.5",
        "GATEWAY_UPLOAD_SECONDS": "3",
        "GATEWAY_MAX_BODY_BYTES": "5000",
        "GATEWAY_MAX_PIXELS": "1024",
        "GATEWAY_MAX_IMAGES": "2",
        "GATEWAY_MAX_IN_FLIGHT": "4",
        "GATEWAY_DECODERS": "1",
        "GATEWAY_URL_FETCH": "False",
        "GATEWAY_URL_SECONDS": "1",
        "GATEWAY_URL_PORTS": "80, 8080",
        "GATEWAY_URL_ALLOWED_NETWORKS": "10.1.0.0/16, fd12::/16",
        "GATEWAY_URL_CA_FILE": str(ca_file),
        "GATEWAY_ADMIN_BIND": "127.0.0.1:8081",
        "GATEWAY_ROOT_PATH": "/tools/brain/",
        "GATEWAY_TRUSTED_HOPS": "2",
        "GATEWAY_KEYS_FILE": str(ca_file),
        "GATEWAY_CORS_ORIGINS": "https://viewer.example.org, http://localhost:3000/",
        "GATEWAY_LOG_LEVEL": "WARNING",
        "GATEWAY_LOG_FORMAT": "json",
        "GATEWAY_REVISION": "0a1b2c",
    }
    assert set(environ) == set(VARIABLES.values())
    assert Settings.from_env(environ) == Settings(
        bind="127.0.0.1:8080",
        header_timeout=4.0,
        write_timeout=5.0,
        idle_timeout=6.0,
        linger_timeout=7.0,
        max_connections=100,
        max_held=2_000_000,
        max_fetches=3,
        connection_age=20.0,
        model_server="model-server.default.svc:8500",
        model_name="other",
        version_label="proven",
        canary_server="ipv4:10.0.0.1:8500,10.0.0.2:8500",
        canary_version_label="next",
        canary_file=Path("/comes/later.toml"),
        deadline=2.5,
        upload_timeout=3.0,
        max_body=5000,
        max_pixels=1024,
        max_images=2,
        max_in_flight=4,
        decoders=1,
        url_fetch=False,
        url_timeout=1.0,
        url_ports=frozenset({80, 8080}),
        url_allowed_networks=(ip_network("10.1.0.0/16"), ip_network("fd12::/16")),
        url_ca_file=ca_file,
        admin_bind="127.0.0.1:8081",
        root_path="/tools/brain",
        trusted_hops=2,
        keys_file=ca_file,
        cors_origins=frozenset({"https://viewer.example.org", "http://localhost:3000"}),
        log_level="warning",
        log_format="json",
        revision="0a1b2c",
    )


@pytest.mark.parametrize(
    ("variable", "expected"), [("CANARY_SERVER_ADDRESS", True), ("CANARY_VERSION_LABEL", True), ("MODEL_NAME", False)]
)
def test_an_address_or_a_label_makes_a_canary(variable, expected):
    assert Settings.from_env({variable: "next:8500" if "ADDRESS" in variable else "next"}).has_canary is expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_BIND", "9696"),
        ("GATEWAY_BIND", "host:"),
        ("GATEWAY_BIND", "host:70000"),
        ("GATEWAY_BIND", ":80"),
        ("GATEWAY_BIND", "::1:80"),
        ("GATEWAY_BIND", "[::1]"),
        ("GATEWAY_BIND", "[localhost]:80"),
        ("GATEWAY_BIND", "ipv6:[::1]:80"),
        ("MODEL_SERVER_ADDRESS", "::1:8500"),
        ("MODEL_SERVER_ADDRESS", "ipv6:[::1]:8500,[::2]"),
        ("GATEWAY_MAX_IN_FLIGHT", "many"),
        ("GATEWAY_MAX_IN_FLIGHT", "-4"),
        ("GATEWAY_MAX_IN_FLIGHT", "\u0664"),
        ("GATEWAY_MAX_IN_FLIGHT", "1001"),
        ("GATEWAY_MAX_IN_FLIGHT", "0"),
        ("MODEL_SERVER_ADDRESS", "model-server"),
        ("MODEL_VERSION_LABEL", "two words"),
        ("CANARY_SERVER_ADDRESS", "model-server-canary"),
        ("CANARY_VERSION_LABEL", "n" * 65),
        ("GATEWAY_DEADLINE_SECONDS", "0"),
        ("GATEWAY_DEADLINE_SECONDS", "-1"),
        ("GATEWAY_DEADLINE_SECONDS", "nan"),
        ("GATEWAY_DEADLINE_SECONDS", "inf"),
        ("GATEWAY_DEADLINE_SECONDS", "10s"),
        ("GATEWAY_UPLOAD_SECONDS", "601"),
        ("GATEWAY_HEADER_SECONDS", "0"),
        ("GATEWAY_WRITE_SECONDS", "never"),
        ("GATEWAY_MAX_CONNECTIONS", "1"),
        ("GATEWAY_MAX_HELD_BYTES", "1000"),
        ("GATEWAY_MAX_FETCHES", "0"),
        ("GATEWAY_MAX_BODY_BYTES", "20MB"),
        ("GATEWAY_MAX_BODY_BYTES", "1.5"),
        ("GATEWAY_MAX_PIXELS", "0"),
        ("GATEWAY_MAX_IMAGES", "0"),
        ("GATEWAY_DECODERS", "0"),
        ("GATEWAY_URL_FETCH", "maybe"),
        ("GATEWAY_URL_FETCH", "1"),
        ("GATEWAY_URL_SECONDS", "soon"),
        ("GATEWAY_URL_PORTS", "80;443"),
        ("GATEWAY_URL_PORTS", "0"),
        ("GATEWAY_URL_ALLOWED_NETWORKS", "10.1.2.3/16"),
        ("GATEWAY_URL_ALLOWED_NETWORKS", "localhost"),
        ("GATEWAY_URL_CA_FILE", "/no/such/file"),
        ("GATEWAY_ADMIN_BIND", "9697"),
        ("GATEWAY_ROOT_PATH", "tools"),
        ("GATEWAY_ROOT_PATH", "/a b"),
        ("GATEWAY_ROOT_PATH", "//evil"),
        ("GATEWAY_TRUSTED_HOPS", "11"),
        ("GATEWAY_KEYS_FILE", "/no/such/file"),
        ("GATEWAY_CORS_ORIGINS", "viewer.example.org"),
        ("GATEWAY_CORS_ORIGINS", "https://viewer.example.org/path"),
        ("GATEWAY_CORS_ORIGINS", "null"),
        ("GATEWAY_LOG_LEVEL", "loud"),
        ("GATEWAY_LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_names_its_variable(variable, value):
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: value})


def test_what_kubernetes_sets_for_services_does_not_matter():
    environ = {
        "GATEWAY_PORT": "tcp://10.0.0.1:9696",
        "GATEWAY_PORT_9696_TCP_ADDR": "10.0.0.1",
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "MODEL_SERVER_PORT": "tcp://10.0.0.2:8500",
        "MODEL_SERVER_SERVICE_PORT": "8500",
    }
    assert Settings.from_env(environ) == Settings()
    prefixes = ("GATEWAY_PORT", "GATEWAY_SERVICE", "MODEL_SERVER_PORT", "MODEL_SERVER_SERVICE")
    assert not [variable for variable in VARIABLES.values() if variable.startswith(prefixes)]
