"""Print the packages of a category of Pipfile.lock for pip: python scripts/requirements.py Pipfile.lock gateway

The output is for ``pip install --require-hashes``. The script needs nothing but Python, so that a container image can
be built without pipenv.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def requirements(lock: Mapping[str, Any], category: str) -> Iterator[str]:
    """Make one line for each package of a category: name, extras, version, markers, and the hashes of its files.

    Raises:
        ValueError: The lock file has no such category.
    """
    if category == "_meta" or category not in lock:
        categories = ", ".join(sorted(lock.keys() - {"_meta"}))
        raise ValueError(f"no category {category!r} in the lock file; it has {categories}")
    for name, package in sorted(lock[category].items()):
        extras = f"[{','.join(package['extras'])}]" if "extras" in package else ""
        markers = f" ; {package['markers']}" if "markers" in package else ""
        hashes = "".join(f" --hash={digest}" for digest in package["hashes"])
        yield f"{name}{extras}{package['version']}{markers}{hashes}"


def main(arguments: list[str]) -> int:
    """Print the lines.

    Returns:
        The exit code: 1 after a message if the lock file or the category cannot be read, 2 for wrong arguments.
    """
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
