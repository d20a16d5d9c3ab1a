"""The container image holds what the gateway needs, and runs it as an unprivileged user."""

import json
import re

from gateway.settings import Settings
from tests.processes import ROOT

DOCKERFILE = (ROOT / "gateway" / "Dockerfile").read_text()
FINAL = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def test_its_packages_are_the_gateway_s_and_checked_by_hash() -> None:
    assert "requirements.py /build/Pipfile.lock gateway >" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_it_holds_these_folders_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from=packages /opt/venv)(\S+)", FINAL, re.MULTILINE)
    assert copied == ["brain_tumor", "serving_api", "tracing", "gateway"]
    assert "pip install" not in FINAL


def test_it_runs_the_gateway_with_the_packages_of_its_own_environment() -> None:
    (entrypoint,) = re.findall(r"^ENTRYPOINT (\[.*\])$", FINAL, re.MULTILINE)
    assert json.loads(entrypoint) == ["/opt/venv/bin/python", "-m", "gateway"]


def test_any_user_may_read_what_it_holds() -> None:
    assert FINAL.index("COPY gateway gateway") < FINAL.index("RUN chmod -R a+rX . ") < FINAL.index("compileall")


def test_port_and_user() -> None:
    assert re.findall(r"^EXPOSE (.*)$", FINAL, re.MULTILINE) == [Settings().bind.rpartition(":")[2]]
    assert re.findall(r"^USER (.*)$", FINAL, re.MULTILINE) == ["10001:10001"]
