"""Start the gateway: ``python -m gateway``.

Its settings are environment variables. gunicorn's own command line and its variable GUNICORN_CMD_ARGS are not read.
"""

import argparse
import os
import sys
from functools import partial

from gateway import NAME, VERSION
from gateway.edge.crowd import Crowd
from gateway.edge.key_file import KeyFile
from gateway.edge.server import Server
from gateway.keys import KeysError, new_caller
from gateway.logs import hooks
from gateway.logs.lines import configuration
from gateway.settings import Settings, SettingsError, markdown_table
from tracing.settings import TracingError, is_wanted


def main() -> None:
    """Serve until a signal ends the process, or print the table of settings."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("--settings", action="store_true", help="print the settings as a Markdown table, and end")
    parser.add_argument("--new-key", metavar="NAME", help="make a key for a caller, print it, and end")
    options = parser.parse_args()
    if options.settings:
        sys.stdout.write(markdown_table())
        return
    if options.new_key is not None:
        try:
            key, table = new_caller(options.new_key)
        except KeysError as error:
            parser.error(f"argument --new-key: {error}")
        sys.stderr.write(f"The key, for {options.new_key} alone; it is stored nowhere:\n{key}\nFor the file of keys:\n")
        sys.stdout.write(table)
        return
    try:
        settings = Settings.from_env(os.environ)
        if settings.keys_file:
            KeyFile(settings.keys_file)
        is_wanted(os.environ)
    except (SettingsError, KeysError, TracingError) as error:
        sys.exit(f"The gateway does not start: {error}")
    # gunicorn starts itself anew with these arguments after SIGUSR2; Python has put this file's path in their place.
    sys.argv[:] = ["-m", "gateway"]
    hooks.install()
    logging = configuration(settings.log_level, settings.log_format)
    Server(settings, logging, partial(load_crowd, settings)).run()


def load_crowd(settings: Settings) -> Crowd:
    """Make everything that serves, in the worker's event loop.

    The application is imported here, in the worker: gunicorn's master stays small without it.
    """
    from gateway.app import create_app
    from gateway.edge.callers import Callers
    from gateway.edge.handler import Handler
    from gateway.edge.rates import Rates
    from gateway.edge.slots import Slots
    from gateway.http.refusals import Refusals
    from gateway.http.routes import edge_routes
    from gateway.metrics import Metrics
    from gateway.model.client import ModelClient
    from tracing.start import start

    tracing = start(os.environ, NAME, VERSION)
    metrics = Metrics(settings.revision)
    slots = Slots(settings.max_in_flight, settings.max_fetches, metrics)
    model_client = ModelClient(settings.model_server, settings.model_name, version_label=settings.version_label)
    canary_client = None
    if settings.has_canary:
        canary_client = ModelClient(
            settings.canary_server or settings.model_server,
            settings.model_name,
            version_label=settings.canary_version_label,
        )
    application = create_app(settings, model_client, metrics, slots, canary_client, tracing)
    callers = None
    if settings.keys_file:
        keys = KeyFile(settings.keys_file)
        keys.watch()
        callers = Callers(keys, Rates())
    handler = Handler(application, edge_routes(application), slots, settings.deadline, callers, settings.root_path)
    crowd = Crowd(settings, handler, Refusals(metrics, settings.cors_origins, tracing), tracing)
    metrics.connections.set_function(lambda: len(crowd))
    return crowd


if __name__ == "__main__":
    main()
