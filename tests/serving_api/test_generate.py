"""The generated files are what the official packages make of them."""

import json

from serving_api import DESCRIPTORS_PATH, messages
from tests.serving_api.fresh_process import ROOT, run


def test_committed_descriptors_are_the_official_ones():
    output = run("""
from serving_api import DESCRIPTORS_PATH
from serving_api.generate import official_descriptors
print(DESCRIPTORS_PATH.read_bytes() == official_descriptors().SerializeToString(deterministic=True))
""")
    assert output.endswith("True")


def test_committed_stubs_are_what_the_descriptors_give():
    same = json.loads(
        run("""
import json
from pathlib import Path
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from serving_api import DESCRIPTORS_PATH, messages
from serving_api.stubs import stub_files
files = stub_files(FileDescriptorSet.FromString(DESCRIPTORS_PATH.read_bytes()), messages)
print(json.dumps({path: Path(path).read_text() == text for path, text in files.items()}))
""")
    )
    assert same == {
        **{f"serving_api/protos/tensorflow{suffix}_pb2.pyi": True for suffix in ("", "_error", "_serving")},
        "serving_api/messages.pyi": True,
    }
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "serving_api").rglob("*.pyi")} == same.keys()


def test_every_message_has_a_type():
    names = {name for name, value in vars(messages).items() if hasattr(value, "DESCRIPTOR")}
    imports = (ROOT / "serving_api" / "messages.pyi").read_text().splitlines()
    assert names == {line.rpartition(" as ")[2] for line in imports if line.startswith("from ")}


def test_descriptors_and_stubs_are_small():
    assert DESCRIPTORS_PATH.stat().st_size < 200_000
    assert sum(path.stat().st_size for path in (ROOT / "serving_api").rglob("*.pyi")) < 200_000
