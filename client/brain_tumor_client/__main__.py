"""``python -m brain_tumor_client`` is the same as ``brain-tumor``."""

import sys

from brain_tumor_client.command import main

if __name__ == "__main__":
    sys.exit(main())
