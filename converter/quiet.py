"""What TensorFlow and tf-keras print about themselves, kept from the user."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

_STDERR = 2  # the file descriptor that TensorFlow's C++ writes to, whatever TF_CPP_MIN_LOG_LEVEL says


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that runs within prints, logs or warns; what is wrong arrives as an exception."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, _STDERR)
        stack.callback(logger.setLevel, level)
        logger.setLevel(logging.ERROR)
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
        os.dup2(nowhere.fileno(), _STDERR)
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
