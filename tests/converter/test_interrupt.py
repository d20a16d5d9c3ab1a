"""A signal that comes while native code calls Python."""

import subprocess
import sys

# Python prints what is raised in __del__ and goes on, as native code may.
_LOST = """
import signal
import sys
from converter import interrupt

class Native:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

interrupt.install()
Native()
try:
    interrupt.check()
except KeyboardInterrupt:
    print("remembered", file=sys.__stderr__)
"""


def test_an_interrupt_that_was_lost_is_remembered_and_its_trace_not_printed():
    ended = subprocess.run([sys.executable, "-c", _LOST], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == "remembered\n"
