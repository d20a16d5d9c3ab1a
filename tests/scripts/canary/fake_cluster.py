"""A kubectl whose cluster is a folder: it builds with the real one, keeps what is applied, and fails where it should.

``FAKE_CLUSTER`` names the folder. It has ``objects.json``, ``calls`` (a line for each command), ``fails`` (parts of
commands that fail, one a line), perhaps ``ends``, and the pages of the gateways' metrics, by pod.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(os.environ.get("FAKE_CLUSTER", "."))
NAME = "app.kubernetes.io/name"

Object = dict[str, Any]


def load() -> dict[str, Object]:
    path = FOLDER / "objects.json"
    return json.loads(path.read_text()) if path.exists() else {}


def key(kind: str, name: str) -> str:
    return f"{kind.lower()}/{name}"


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1] if name in words else ""


def selected(words: list[str], manifest: Object) -> bool:
    wanted = option(words, "--selector").partition("=")[2]
    return not wanted or manifest["metadata"].get("labels", {}).get(NAME) == wanted


def given(words: list[str]) -> list[Object]:
    documents = [document for document in yaml.safe_load_all(sys.stdin.read()) if document]
    return [document for document in documents if selected(words, document)]


def elsewhere(manifests: list[Object], namespace: str) -> bool:
    """Whether kubectl, told a namespace, refuses one of the manifests."""
    return bool(namespace) and any(
        manifest["metadata"].get("namespace", namespace) != namespace for manifest in manifests
    )


def pods(objects: dict[str, Object], words: list[str]) -> list[Object]:
    """One pod for each page of metrics there is of the gateways; those called starting are not ready."""
    if option(words, "--selector") != f"{NAME}=gateway":
        return []
    spec = objects["deployment/gateway"]["spec"]["template"]["spec"]
    return [
        {
            "metadata": {"name": page.stem, "uid": page.stem},
            "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": str(page.stem != "starting")}]},
        }
        for page in sorted(FOLDER.glob("*.metrics"))
    ]


def main(words: list[str]) -> int:
    if words[0] == "kustomize":
        os.execv(os.environ["REAL_KUBECTL"], ["kubectl", *words])
    objects = load()
    namespace = ""
    if words[0] == "--namespace":
        _, namespace, *words = words
    line = " ".join(words)
    with (FOLDER / "calls").open("a") as calls:
        print(line, file=calls)
    ends = FOLDER / "ends"  # a command beside which somebody ends the canary
    if ends.exists() and ends.read_text() in line:
        objects.pop("deployment/model-server-canary", None)
        (FOLDER / "objects.json").write_text(json.dumps(objects))
    for part in (FOLDER / "fails").read_text().splitlines():
        if part in line:
            print(f"Error from server: {part} fails", file=sys.stderr)
            return 1
    match words:
        case ["get", "pods", *rest]:
            print(json.dumps({"items": pods(objects, rest)}))
        case ["get", "--raw", path]:
            print((FOLDER / f"{path.split('/')[6].partition(':')[0]}.metrics").read_text())
        case ["get", kind, name, *_]:
            found = objects.get(key(kind, name))
            print(json.dumps(found) if found else "")
        case ["apply", *rest]:
            manifests = given(rest)
            if elsewhere(manifests, namespace):
                print("the namespace from the provided object does not match", file=sys.stderr)
                return 1
            for manifest in manifests:
                objects[key(manifest["kind"], manifest["metadata"]["name"])] = manifest
        case ["delete", *names]:
            for name in names:
                objects.pop(name, None)
        case ["patch", kind, name, *rest]:
            objects[key(kind, name)]["data"] |= json.loads(option(rest, "--patch"))["data"]
        case ["annotate" | "rollout", *_]:
            pass
        case _:
            print(f"the fake cluster knows no {line}", file=sys.stderr)
            return 1
    (FOLDER / "objects.json").write_text(json.dumps(objects))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
