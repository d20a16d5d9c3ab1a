"""Write the table of forms in docs/your-model.md: python -m tests.integration.forms."""

import sys
import tempfile
from pathlib import Path

from converter.__main__ import prepare_process


def main() -> None:
    prepare_process()
    from tests.integration.forms import outcomes, table  # they import TensorFlow

    with tempfile.TemporaryDirectory(prefix="forms-") as folder:
        found = outcomes.find_outcomes(Path(folder), lambda line: print(line, file=sys.stderr, flush=True))
    text = table.rendered(found)
    table.write(text)
    print(text)


if __name__ == "__main__":
    main()
