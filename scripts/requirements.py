"""Print the packages of categories of Pipfile.lock for pip: python scripts/requirements.py Pipfile.lock gateway

What is printed is for ``pip install --require-hashes``. It needs nothing but Python, so that an image can be built
without pipenv.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def requirements(lock: Mapping[str, Any], category: str) -> Iterator[str]:
    """A line for each package of a category: name, extras, version, markers, and the hashes of its files.

    Raises:
        ValueError: there is no such category.
    """
    if category == "_meta" or category not in lock:
        known = ", ".join(sorted(lock.keys() - {"_meta"}))
        raise ValueError(f"no category {category!r} in the lock file; it has {known}")
    for name, package in sorted(lock[category].items()):
        extras = f"[{','.join(package['extras'])}]" if "extras" in package else ""
        markers = f" ; {package['markers']}" if "markers" in package else ""
        hashes = "".join(f" --hash={each}" for each in package["hashes"])
        yield f"{name}{extras}{package['version']}{markers}{hashes}"


def main(arguments: list[str]) -> int:
    """Print; 1 and a message where that cannot be."""
    if len(arguments) != 2:
        print("usage: python scripts/requirements.py Pipfile.lock CATEGORY", file=sys.stderr)
        return 2
    path, category = arguments
    try:
        print("\n".join(requirements(json.loads(Path(path).read_text()), category)))
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
