"""The Makefile and the scripts run with what macOS has: make 3.81, bash 3.2 as its sh, and BSD's tools.

The real ones run where tests/scripts/old_tools.py finds them. Elsewhere make's newer features are looked for in the
text, and so are the options that BSD's tools lack: what such a tool does with them, no other tool shows.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.scripts.old_tools import MAKES, SHELLS

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE)
NEWER_THAN_MAKE_3_81 = [
    r"^\.ONESHELL",
    r"^\.SHELLFLAGS|^\.WAIT|^\.RECIPEPREFIX|^\.NOTINTERMEDIATE",
    r"^(private|undefine|load)\b",
    r"^[\w.-]+ *(!=|::=|:::=)",
    r"^[^\t#]*&:",
    r"\$\((file|guile|let|intcmp) ",
    r"^define .*=",
]
NEWER_THAN_BASH_3_2 = [
    r";;?&",
    r"&>>|\|&",
    r"\$\{\w+(\[.\])?(,|\^)",
    r"\$\{\w+@",
    r"\b(declare|local|typeset) -[A-Za-z]*[Agnlu]",
    r"\b(mapfile|readarray|coproc)\b",
    r"\bwait -n\b",
    r"\[ -v |\[\[ -v ",
    r"printf '?%\(",
]
NOT_OF_BSD = [
    r"\bsed -(i|r|z|u)\b|\bsed --",
    r"\bsed\b.*\\[tn]/",
    r"\breadlink -[efm]|\brealpath\b",
    r"\bdate (-d|--|\+\S*%N)",
    r"\bxargs -(r|d)\b|\bxargs --",
    r"\bstat (-c|--)",
    r"\bgrep (-\w*P|--perl)",
    r"\b(mktemp|cp|mv|rm|ls|tail|head|sort|cut|touch|mkdir) --",
    r"\bhead -n? ?-\d",
    r"(?<!-)\b(timeout|nproc|tac|setsid|flock) ",
    r"\bbase64 -w|\bfind\b.* -printf|\bsort -\w*V|\bcp -\w*[tT]\b|\bln -\w*[rT]\b",
]


def found(patterns: list[str], text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip("\t @").startswith("#")]
    return [line for line in lines for pattern in patterns if re.search(pattern, line)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_for_any_sh(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert found(NEWER_THAN_BASH_3_2 + NOT_OF_BSD, text) == []
    for shell in SHELLS.values():
        done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_makefile_has_nothing_that_make_3_81_ignores() -> None:
    assert found(NEWER_THAN_MAKE_3_81 + NEWER_THAN_BASH_3_2 + NOT_OF_BSD, MAKEFILE) == []


@pytest.mark.parametrize(
    "line",
    [
        *(".ONESHELL:", ".SHELLFLAGS := -eu -c", "private x := 1", "undefine x", "x != date", "x ::= 1", "a b &: c"),
        *(
            "x := $(file < y)",
            "define x =",
            "\tcase x in a) b ;;& esac",
            "b ;&",
            "a &>> b",
            "a |& b",
            "${x,,}",
            "${x^}",
        ),
        *("${x@Q}", "declare -A x", "local -n x", "mapfile x", "readarray x", "wait -n", "[ -v x ]", "printf '%(%s)T'"),
        *("sed -i s/a/b/ x", "sed -r x", "sed 's/a/\\t/'", "readlink -f x", "realpath x", "date -d now", "date +%s%N"),
        *("x | xargs -r rm", "stat -c %s x", "grep -qP x", "mktemp --directory", "head -n -1", "timeout 3 x", "nproc "),
        *("base64 -w0", "find . -printf x", "sort -V", "ln -sr a b"),
    ],
)
def test_what_macos_lacks_is_found(line: str) -> None:
    assert found(NEWER_THAN_MAKE_3_81 + NEWER_THAN_BASH_3_2 + NOT_OF_BSD, line)


def test_every_make_does_the_same_for_every_target() -> None:
    command = ["--dry-run", "--always-make", "--no-print-directory", *TARGETS, "MODEL=a.keras", "MODEL_FOLDER=models/b"]
    printed = {}
    for name, make in MAKES.items():
        done = subprocess.run([make, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        printed[name] = done.stdout
    # make 3.81 keeps the tab of a line that goes on.
    assert len({tuple(text.split()) for text in printed.values()}) == 1, printed.keys()
    assert 'MODEL="models/b" scripts/kind-cluster up' in printed["make"]
    # Each line has a shell of its own, unless it goes on with a backslash.
    lines = re.sub(r"\\\n", "\\\0", printed["make"]).splitlines()
    assert len(lines) > len(TARGETS)
    for line in lines:
        done = subprocess.run(["sh", "-n", "-c", line.replace("\0", "\n")], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
def test_help_has_a_line_for_each_target(make: str) -> None:
    # Not as a part of the make that may run the tests: that one writes more.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run([make, "help"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert [line.split()[0] for line in done.stdout.splitlines()] == TARGETS
    assert "run         Serve on this machine" in done.stdout


# Stands for the Python that is found, and for those of .pipenv and .venv: it writes down what it is asked for.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit 0 ;;
*sysconfig*) mkdir -p .venv/lib && echo .venv/lib ;;
*venv*) mkdir -p .pipenv/bin && cp "$0" .pipenv/bin/python && cp "$0" .pipenv/bin/pipenv ;;
sync*)
    mkdir -p .venv/bin && cp "$0" .venv/bin/python
    [ -z "$BROKEN" ] || { echo "Error: no such package"; exit 1; }
    echo "Successfully installed" && echo "much else" ;;
esac
echo "$(basename "$0") $*" >> calls
"""
KUBECTL = """#!/bin/sh
echo "kubectl $*" >> calls
case "$BROKEN" in deployment/*) case "$*" in *"$BROKEN"*) exit 1 ;; esac ;; esac
"""


@pytest.fixture(params=MAKES.values(), ids=MAKES.keys())
def make(request, tmp_path: Path):
    """A function that runs make in a fresh checkout, with a stand-in for Python, and returns what was called."""
    checkout, tools = tmp_path / "a checkout", tmp_path / "tools"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    (checkout / "gateway").mkdir()
    for name in ("Makefile", "Pipfile.lock", "gateway/__init__.py"):
        shutil.copy(ROOT / name, checkout / name)
    tools.mkdir()
    for name, text in {"python3": PYTHON, "kubectl": KUBECTL}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (checkout / "kube-config" / "overlays" / "kind").mkdir(parents=True)
    (checkout / "kube-config" / "overlays" / "kind" / "kustomization.yaml").write_text("resources: []\n")

    def run(*words: str, broken: str = "") -> tuple[subprocess.CompletedProcess, list[str]]:
        calls = checkout / "calls"
        calls.unlink(missing_ok=True)
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "BROKEN": broken}
        command = [request.param, *words]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60)
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_make_run_installs_what_it_needs_once(make) -> None:
    done, calls = make("run", "PORT=8080")
    assert done.returncode == 0, done.stderr
    steps = [
        "python3 -m venv --clear .pipenv",
        "python -m pip install",
        "pipenv sync --verbose --categories gateway",
        "pipenv sync --verbose --categories model-server",
        "python -c import sysconfig",
        "python -m scripts.serve --port 8080",
    ]
    assert [call[: len(step)] for call, step in zip(calls, steps, strict=True)] == steps
    assert "Successfully installed" in done.stdout
    assert "much else" not in done.stdout
    _, again = make("run")
    assert again == ["python -m scripts.serve"]


def test_what_was_installed_before_does_not_hide_a_failure(make, tmp_path) -> None:
    make("run")
    later = time.time() + 60
    os.utime(tmp_path / "a checkout" / "Pipfile.lock", (later, later))
    done, calls = make("run", broken="pipenv")
    assert done.returncode != 0
    assert not [call for call in calls if "scripts.serve" in call]


def test_what_is_not_installed_is_tried_again(make) -> None:
    done, calls = make("run", broken="pipenv")
    assert done.returncode != 0
    assert "Error: no such package" in done.stdout
    assert not [call for call in calls if "scripts.serve" in call]
    _, again = make("run")
    assert "pipenv sync --verbose --categories gateway" in again


def test_without_a_python_nothing_is_made(make) -> None:
    done, calls = make("run", "PYTHON=/nowhere/python3")
    assert done.returncode != 0
    assert "Install one" in done.stderr
    assert not calls


def test_make_experiment_says_what_it_needs(make) -> None:
    done, calls = make("experiment")
    assert done.returncode != 0
    assert "needs DATA" in done.stderr
    assert not [call for call in calls if "training.experiment" in call]
    _, calls = make("experiment", "DATA=kaggle/1", "OPTIONS=--weights imagenet")
    assert calls == ["python -m training.experiment kaggle/1 runs/experiment --weights imagenet"]


def test_make_deploy_waits_for_both_tiers(make) -> None:
    done, calls = make("deploy")
    assert done.returncode == 0, done.stderr
    verbs = [call.split()[1] for call in calls]
    assert verbs[0] == "kustomize", "the images are looked at first"
    assert [verb for verb in verbs if verb != "kustomize"] == ["apply", "--namespace", "--namespace"]


def test_make_deploy_fails_with_the_first_tier(make) -> None:
    done, calls = make("deploy", broken="deployment/model-server")
    assert done.returncode != 0
    assert "deployment/model-server" in calls[-1]


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("canary", "IMAGE=host/name:1"), "begin --image host/name:1"),
        (("canary", "SHARE=25", "SHADOW=0"), "begin --image  --share 25 --shadow 0"),
        (("canary-report",), "report"),
        (("promote",), "promote"),
        (("promote", "BOUNDS=a b.toml"), "promote --bounds a b.toml"),
        (("rollback",), "rollback"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_canary_needs_python_and_nothing_that_make_installs(make, words, arguments) -> None:
    done, calls = make(*words, "OVERLAY=own")
    assert done.returncode == 0, done.stderr
    assert calls == [f"python3 -m scripts.canary --overlay kube-config/overlays/own {arguments}"]
