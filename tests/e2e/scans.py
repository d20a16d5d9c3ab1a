"""Folders of a node that a Job reads images from and writes results to, as volumes."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.faults import Faults
from tests.e2e.stage import Objects

_FOLDER = "/proc/1/root/var/tmp/brain-tumor-e2e"  # the node's, as a pod that shares its processes sees it

# These run on the node. The images are noise of 32 x 32 pixels, each another one, and a hundred in a folder.
_MAKE = """
import os, pathlib, random, shutil, struct, sys, zlib
top, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
shutil.rmtree(top, ignore_errors=True)
(top / "results").mkdir(parents=True)
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for number in range(count):
    path = top / "images" / f"{number // 100:03}" / f"{number:05}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = random.Random(number).randbytes(33 * 32)
    rows = b"".join(b"\\0" + rows[33 * row : 33 * row + 32] for row in range(32))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0))
    data = header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + data)
"""
_DONE = """
import json, pathlib, sys
counts = {}
for path in sorted(pathlib.Path(sys.argv[1], "results").glob("*/part-*")):
    counts[path.name] = path.read_bytes().count(b"\\n") - 1
print(json.dumps(counts))
"""
# Stops one of the clients when so many images are done, at once: its pod is then there to be ended.
_HOLD = """
import json, os, pathlib, re, signal, sys, time
results, enough, ended = pathlib.Path(sys.argv[1], "results"), float(sys.argv[2]), json.loads(sys.argv[3])
def done():
    return sum(path.read_bytes().count(b"\\n") - 1 for path in results.glob("*/part-*"))
def clients():
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\\0")
            inside = re.search(r"NSpid:.*\\s(\\d+)", (process / "status").read_text())
            ids = re.findall("[0-9a-f]{64}", (process / "cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"brain_tumor_client" in words and inside and inside[1] == "1" and ids:
            (shard,) = [word.decode() for word in words if word.startswith(b"--shard=")]
            yield ended.get(shard, 0), int(process.name), ids[-1], shard
end = time.monotonic() + 200
while time.monotonic() < end:
    if done() >= enough and (found := sorted(clients())):
        _, process, container, shard = found[0]
        try:
            os.kill(process, signal.SIGSTOP)
        except ProcessLookupError:
            continue
        print(json.dumps([process, container, shard]))
        sys.exit()
    time.sleep(0.01)
sys.exit("no client to stop")
"""


@dataclass(frozen=True)
class Held:
    """A client that is stopped: its process on the node, its container's id, and its option ``--shard``."""

    process: int
    container: str
    shard: str


class Scans:
    """Images and results on the node of a pod of ``faults``."""

    def __init__(self, faults: Faults, node: str) -> None:
        self._faults, self.node = faults, node
        self._held: Counter[str] = Counter()

    def hold(self, enough: float) -> Held:
        """Stop a client as soon as so many images are done: one of the shard that was held least often.

        The wait before a pod is replaced doubles each time.
        """
        arguments = _FOLDER, str(enough), json.dumps(self._held)
        held = Held(*json.loads(self._faults.on_node(self.node, "python3", "-", *arguments, given=_HOLD)))
        self._held[held.shard] += 1
        return held

    def signal(self, held: Held, name: str) -> None:
        self._faults.on_node(self.node, "sh", "-c", f"kill -{name} {held.process}")

    def done(self) -> dict[str, int]:
        """How many images each file holds: the journals, and the tables of the parts that are complete."""
        return json.loads(self._faults.on_node(self.node, "python3", "-", _FOLDER, given=_DONE))

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table of results."""
        return list(csv.DictReader(io.StringIO(self._faults.on_node(self.node, "cat", f"{_FOLDER}/results/{name}"))))

    def bind(self, objects: Objects) -> None:
        """Say in the volumes which node has them."""
        for volume in objects:
            if volume["kind"] == "PersistentVolume":
                (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
                term["matchExpressions"][0]["values"] = [self.node]


def names(count: int) -> list[str]:
    """The images as the Job calls them, in their order."""
    return [f"/images/{number // 100:03}/{number:05}.png" for number in range(count)]


@contextmanager
def scans(faults: Faults, count: int) -> Iterator[Scans]:
    """So many images, and an empty folder for results; both go when the block ends."""
    node = faults.nodes()[0]
    faults.on_node(node, "python3", "-", _FOLDER, str(count), given=_MAKE)
    try:
        yield Scans(faults, node)
    finally:
        faults.on_node(node, "rm", "-rf", _FOLDER)
