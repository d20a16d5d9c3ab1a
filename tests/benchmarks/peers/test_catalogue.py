"""The servers that are compared, what they need, and what is said when it cannot be had."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks.peers import environments
from benchmarks.peers.catalogue import CLASSIC, NAMES, PEERS
from benchmarks.peers.environments import REQUIREMENTS, Unavailable, make
from benchmarks.peers.networks import Network
from brain_tumor.contract import INT8_MODEL

FILES = sorted(REQUIREMENTS.glob("*.txt"))
BY_NAME = {peer.name: peer for peer in PEERS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_package_is_pinned_and_no_index_is_named(file):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9A-Za-z.+!]+", line)] == []


def test_every_requirements_file_is_used():
    used = {peer.environment for peer in PEERS if peer.environment} | {"onnx"}
    assert used == {file.stem for file in FILES}


def test_the_classic_form_is_the_first_and_names_differ():
    assert NAMES[0] == CLASSIC
    assert len(set(NAMES)) == len(NAMES)


@pytest.fixture
def network(tmp_path) -> Network:
    return Network("small", 32, tmp_path / "network", tmp_path / "environments")


@pytest.mark.parametrize("name", NAMES)
def test_a_tier_has_its_port_and_a_peer_sees_nothing_of_this_checkout(name, network, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEYS_FILE", "a developer's own")
    tiers = BY_NAME[name].tiers(Path("/environment/bin/python"), network, 12345)
    assert any("12345" in part for tier in tiers for part in (*tier.command, *tier.environment.values()))
    for tier in tiers:
        assert tier.folder.is_dir()
        assert "GATEWAY_KEYS_FILE" not in tier.environment
    if BY_NAME[name].environment:
        assert tiers[-1].command[0] == "/environment/bin/python"
        assert tiers[-1].environment["PYTHONPATH"] == str(tiers[-1].folder)


def test_int8_is_measured_where_the_newest_version_has_it(network):
    prepared = BY_NAME["openvino-int8"]
    assert "has no int8 form" in prepared.needs(network)
    form = network.project / "9" / INT8_MODEL
    form.parent.mkdir(parents=True)
    form.touch()
    assert prepared.needs(network) == ""
    (network.project / "10").mkdir()
    assert "has no int8 form" in prepared.needs(network)


@pytest.mark.parametrize(("kind", "made"), [("small", True), ("shipped", False)])
def test_the_int8_form_is_made_beside_the_project_s_but_not_in_the_shipped_model(kind, made, tmp_path, monkeypatch):
    network = Network(kind, 32, tmp_path / "network", tmp_path / "environments")
    commands = []
    monkeypatch.setattr(Network, "_run", lambda self, form, command: commands.append((form, command[2])))
    network.make("int8")
    assert commands[0] == ("saved_model", "benchmarks.peers.make_network")
    assert (("int8", "benchmarks.peers.make_int8") in commands) is made


def fake_python(folder: Path, pip: str) -> Path:
    """In place of Python: ``-m venv --clear FOLDER`` copies it there, and ``-m pip`` does what is given."""
    python = folder / "python"
    make = 'if [ "$2" = venv ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; exit; fi'
    python.write_text(f"#!/bin/sh\n{make}\n{pip}\n")
    python.chmod(0o755)
    return python


def test_packages_that_cannot_be_installed_are_named_with_pip_s_reason(tmp_path, monkeypatch):
    pip = 'echo "ERROR: No matching distribution found for litserve==0.2.19" >&2; echo "[notice] new pip" >&2; exit 1'
    monkeypatch.setattr(sys, "executable", str(fake_python(tmp_path, pip)))
    with pytest.raises(Unavailable, match=r"litserve cannot be installed: No matching distribution found for litserve"):
        make("litserve", tmp_path / "environments")


def test_an_environment_is_made_once_for_the_same_requirements(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setattr(sys, "executable", str(fake_python(tmp_path, f'echo "$@" >> {calls}')))
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "one.txt").write_text("package==1\n")
    python = make("one", tmp_path / "environments")
    assert python == tmp_path / "environments" / "one" / "bin" / "python"
    assert make("one", tmp_path / "environments") == python
    assert len(calls.read_text().splitlines()) == 1
    (tmp_path / "one.txt").write_text("package==2\n")
    make("one", tmp_path / "environments")
    assert len(calls.read_text().splitlines()) == 2


def test_the_reason_is_the_last_error_or_the_last_line():
    assert environments.reason("ERROR: first\nERROR: second\n\nnotice\n") == "second"
    assert environments.reason("Traceback\nValueError: broken\n") == "ValueError: broken"
    assert environments.reason("") == "no reason was given"
