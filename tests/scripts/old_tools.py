"""The shells and the makes that the scripts and the Makefile run under: this machine's, and those of macOS.

macOS has bash 3.2 of 2007, also as its sh, and make 3.81 of 2006. On another machine they are looked for as bash-3.2
and make-3.81, in .tools and on the PATH. dash, Debian's sh, knows less than bash 3.2, and so stands for it where it is
missing; test_macos.py looks for what make 3.81 does not know.
"""

import os
import shutil

from tests.processes import ROOT

_PATH = os.pathsep.join([str(ROOT / ".tools"), os.environ["PATH"]])


def _found(*names: str) -> dict[str, str]:
    """The paths of those that are installed, once for each program."""
    paths = {name: shutil.which(name, path=_PATH) for name in names}
    programs = {os.path.realpath(path): (name, path) for name, path in paths.items() if path}
    return dict(programs.values())


SHELLS = _found("sh", "dash", "bash", "bash-3.2")
MAKES = _found("make", "make-3.81")
