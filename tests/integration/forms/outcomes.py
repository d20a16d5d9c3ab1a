"""What becomes of each form: converted and served, with how far the response is from the notebook, or refused."""

import contextlib
import json
import math
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from converter.convert import Job, convert
from converter.errors import ConversionError
from gateway.app import create_app
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests import processes
from tests.integration.forms.catalogue import Form
from tests.integration.forms.images import write_images, write_served
from tests.integration.forms.written import Written, in_order, write_forms

_DEADLINE = 30.0  # seconds for one response


@dataclass(frozen=True)
class Outcome:
    """What became of one form, as one Keras version wrote it.

    Attributes:
        form: The form.
        version: The Keras version; empty for a file that no Keras wrote.
        file: What kind of file it is.
        description: What its author says about it.
        refusal: The converter's sentence; empty if it converted the model.
        failure: The trace of an error that the converter must not end in; empty if there was none.
        difference: The largest difference in probability between the service's response and the notebook.
        difference_without_limit: The same without the form's limit; not a number where it has none.
    """

    form: Form
    version: str
    file: str
    description: dict[str, Any]
    refusal: str = ""
    failure: str = ""
    difference: float = math.nan
    difference_without_limit: float = math.nan


def find_outcomes(folder: Path, say: Callable[[str], None]) -> list[Outcome]:
    """Write all forms into a folder, convert them, serve what was converted, and compare; in the catalogue's order.

    Args:
        folder: An empty folder.
        say: Called with lines about what takes long.
    """
    images = write_images(folder / "images")
    write_served(folder / "served", images)
    refused = [(each, _refusal(each, folder / "models")) for each in write_forms(folder, folder / "images", say)]
    written = sorted((each for each, _ in refused), key=in_order)
    refusals = {each.name: refusal for each, refusal in refused}
    served = [each for each in written if not any(refusals[each.name])]
    with _gateways(served, folder) as url:
        differences = {each.name: _differences(f"{url}/{each.name}", each, images) for each in served}
    return [
        Outcome(
            each.form,
            each.version,
            each.file,
            json.loads(each.description.read_text()),
            *refusals[each.name],
            *differences.get(each.name, ()),
        )
        for each in written
    ]


def _refusal(written: Written, models: Path) -> tuple[str, str]:
    """Convert a model; why the converter refused it, and the trace of an error that it should not end in."""
    try:
        convert(Job(written.path, written.description, models, written.name))
    except ConversionError as error:
        said = str(error).replace(str(written.description), "MODEL.json")
        return said.replace(str(written.path), f"MODEL{''.join(written.path.suffixes)}"), ""
    except Exception:
        return "", traceback.format_exc()
    return "", ""


def _differences(url: str, written: Written, images: Sequence[Path]) -> tuple[float, float]:
    """How far the service's response is from the notebook, and from the notebook without the form's limit."""
    predicted = probabilities(url, images)
    without = written.probabilities_without_limit
    return (
        float(np.abs(predicted - written.probabilities).max()),
        math.nan if without is None else float(np.abs(predicted - without).max()),
    )


def probabilities(url: str, images: Sequence[Path]) -> np.ndarray:
    """What a service says about images: (image, class)."""
    files = [("image", (path.name, path.read_bytes())) for path in images]
    response = requests.post(f"{url}/predict", files=files, timeout=2 * _DEADLINE)
    assert response.status_code == 200, f"{url}: {response.text}"
    return np.array([list(prediction["probabilities"].values()) for prediction in response.json()["predictions"]])


@contextlib.contextmanager
def _gateways(served: Sequence[Written], folder: Path) -> Iterator[str]:
    """One model server with all models, and one HTTP server that has a gateway for each model under its name."""
    config = folder / "models.config"
    models = (
        f'config {{ name: "{each.name}" base_path: "{folder}/models/{each.name}" model_platform: "tensorflow" }}'
        for each in served
    )
    config.write_text(f"model_config_list {{ {' '.join(models)} }}")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            processes.model_server(folder / "model-server.log", f"--model_config_file={config}")
        )
        apps = {}
        for each in served:
            settings = Settings(model_server=f"127.0.0.1:{server.port}", model_name=each.name, deadline=_DEADLINE)
            client = ModelClient(settings.model_server, settings.model_name)
            stack.callback(client.close)
            apps[f"/{each.name}"] = create_app(settings, client)
        yield stack.enter_context(_http_server(apps))


class _Silent(WSGIRequestHandler):
    """Logs no requests."""

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


@contextlib.contextmanager
def _http_server(apps: dict[str, Callable[..., object]]) -> Iterator[str]:
    def nothing(environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("404 Not Found", [])
        return []

    dispatcher = DispatcherMiddleware(nothing, apps)
    server = make_server("127.0.0.1", 0, dispatcher, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
