"""Archives of version folders, as people pack them, and as nobody should."""

import hashlib
import io
import random
import tarfile
from collections.abc import Mapping

FILES = {
    "saved_model.pb": b"a graph",
    "assets/model.json": b"{}",
    "variables/variables.data-00000-of-00001": random.Random(7).randbytes(900_000),  # does not compress
}


def packed(files: Mapping[str, bytes] = FILES, top: str = "", mode: str = "w:gz") -> bytes:
    """A tar archive of these files, below a folder ``top``."""
    return packed_members([(tarfile.TarInfo(top + name), content) for name, content in files.items()], mode)


def packed_members(members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as tar:
        for member, content in members:
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def sha256(archive: bytes) -> str:
    return hashlib.sha256(archive).hexdigest()
