"""python -m portable_model_server --model_name=NAME --model_base_path=/absolute/path ..."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from queue import SimpleQueue

from portable_model_server import flags
from portable_model_server.api.listeners import PortTaken
from portable_model_server.engines.memory import return_large_blocks
from portable_model_server.errors import ServingError
from portable_model_server.server import STOP, ModelServer
from tracing.settings import TracingError
from tracing.spans import current
from tracing.start import start

_LOGGER = logging.getLogger("portable_model_server")
# The exit code of tensorflow_model_server when it cannot start (its main returns -1).
EXIT_CANNOT_START = 255
EXIT_PORT_TAKEN = 1
SERVICE = "portable-model-server"  # in traces
TENSORFLOW_SERVING = "2.20.0"


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    if {"--help", "-h"} & set(arguments):
        sys.stdout.write(flags.usage())
        return 0
    _log_to_stderr()
    try:
        line = flags.parse(arguments)
        _report(line)
        if line.flags.version:
            return 0
        events: SimpleQueue[str] = SimpleQueue()
        _stop_on_signals(events)
        return_large_blocks()
        tracing = start(os.environ, SERVICE)
        ended = ModelServer(line.flags, events, tracing).run()
    except flags.MalformedFlag as error:
        sys.stdout.write(flags.usage())
        return _cannot_start(error, EXIT_CANNOT_START)
    except (ServingError, TracingError) as error:
        return _cannot_start(error, EXIT_CANNOT_START)
    except PortTaken as error:
        return _cannot_start(error, EXIT_PORT_TAKEN)
    return 0 if ended else _leave(0)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(add_trace_id)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s%(trace)s", handlers=[handler]
    )
    # It logs a line for each client that goes away.
    logging.getLogger("portable_model_server.api.rest_server").setLevel(logging.WARNING)


def add_trace_id(record: logging.LogRecord) -> bool:
    """Let a line end with the id of the trace that it belongs to, if it does; logging calls this for each record."""
    trace_id = current().trace_id
    record.trace = f" [{trace_id}]" if trace_id else ""
    return True


def _report(line: flags.CommandLine) -> None:
    """Report the flags that are not simply used.

    Raises:
        MalformedFlag: A flag is refused.
    """
    if line.flags.version:
        sys.stdout.write(
            f"portable_model_server, with the API of TensorFlow ModelServer: {TENSORFLOW_SERVING}\n"
            f"OpenVINO: {metadata.version('openvino')}\n"
        )
    for name in line.refused:
        raise flags.MalformedFlag(f"--{name} is not implemented: {flags.REFUSED[name][1]}")
    for name in line.without_effect:
        _LOGGER.warning("--%s has no effect here: %s", name, flags.WITHOUT_EFFECT[name][1])
    if line.unknown:
        sys.stdout.write(f"unknown argument: {' '.join(line.unknown)}\n{flags.usage()}")
        sys.stdout.flush()


def _stop_on_signals(events: "SimpleQueue[str]") -> None:
    def stop(number: int, frame: object) -> None:
        # The second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        events.put(STOP)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _cannot_start(error: Exception, code: int) -> int:
    _LOGGER.error("Failed to start server. Error: %s", error)
    return _leave(code)


def _leave(code: int) -> int:
    """End the process without its threads: a load or a prediction that runs cannot be interrupted."""
    sys.stdout.flush()
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
