"""The servers that are compared: what each needs, how it starts, and with which settings."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import requests
from benchmarks.peers.environments import Unavailable, make
from benchmarks.peers.networks import EXPORT, SERVERS, Network
from benchmarks.peers.requests import Interface
from brain_tumor.processes import ROOT, free_port, gateway_command, model_server_command

CLASSIC = "classic"


@dataclass(frozen=True)
class Tier:
    """A process: its command, its environment variables and the folder that it runs in."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Peer:
    """A server of the comparison.

    Attributes:
        name: For the command line.
        title: For the table.
        settings: What a reader must know to judge whether the comparison is fair.
        interface: How it is asked.
        form: Which form of the network it loads (``Network.make``).
        tiers: From the program ``python`` of its environment, the network and the port of HTTP to its processes.
        environment: The requirements file of its packages; None where it runs with this checkout's.
        exact: Whether its probabilities must agree with the classic form's; int8 is judged by the converter instead.
    """

    name: str
    title: str
    settings: str
    interface: Interface
    form: str
    tiers: Callable[[Path, Network, int], Sequence[Tier]]
    environment: str | None = None
    exact: bool = True
    needs: Callable[[Network], str] = field(default=lambda network: "")

    def prepare(self, network: Network) -> Path:
        """Make what it needs; the Python that runs it.

        Raises:
            Unavailable: It cannot be had here; the message says why.
        """
        network.make(self.form)
        missing = self.needs(network)
        if missing:
            raise Unavailable(missing)
        return make(self.environment, network.environments) if self.environment else Path(sys.executable)


def _classic(python: Path, network: Network, port: int) -> Sequence[Tier]:
    """The second tier stands for tensorflow_model_server: the same sessions, with its default threads, no batches."""
    grpc_port = free_port()
    export = (network.folder / EXPORT).parent
    flags = ("--engine=tensorflow", "--enable_batching=false")
    model_server = model_server_command(export, *flags, port=grpc_port, name="classifier")
    environment = {**_foreign(python, network, port), "PEERS_MODEL_SERVER": f"127.0.0.1:{grpc_port}"}
    gunicorn = [str(python), "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "classic_gateway:app"]
    return Tier(model_server, _own(), ROOT), Tier(gunicorn, environment, SERVERS)


def _project(*flags: str) -> Callable[[Path, Network, int], Sequence[Tier]]:
    def tiers(python: Path, network: Network, port: int) -> Sequence[Tier]:
        grpc_port = free_port()
        own = _own()
        settings = {
            "GATEWAY_BIND": f"127.0.0.1:{port}",
            "GATEWAY_DEADLINE_SECONDS": "60",  # as long as the others wait: on a busy machine it refuses requests
            "MODEL_SERVER_ADDRESS": f"127.0.0.1:{grpc_port}",
        }
        model_server = model_server_command(network.project, *flags, port=grpc_port)
        return Tier(model_server, own, ROOT), Tier(gateway_command(), {**own, **settings}, ROOT)

    return tiers


def _program(*command: str, **environment: str) -> Callable[[Path, Network, int], Sequence[Tier]]:
    """One process of a peer: ``python`` with these arguments, in which PORT stands for the port."""

    def tiers(python: Path, network: Network, port: int) -> Sequence[Tier]:
        given = {**_foreign(python, network, port), **environment}
        filled = {name: value.replace("PORT", str(port)) for name, value in given.items()}
        return (Tier([str(python), *(part.replace("PORT", str(port)) for part in command)], filled, SERVERS),)

    return tiers


def _own() -> dict[str, str]:
    """The environment of a tier of this checkout, with the defaults of all settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MODEL_"))}


def _foreign(python: Path, network: Network, port: int) -> dict[str, str]:
    """The environment of a peer: nothing of this checkout, and no calls home."""
    home = network.environments.parent / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": f"{python.parent}:{os.defpath}",
        "HOME": str(home),
        "PYTHONPATH": str(SERVERS),
        "PEERS_NETWORK": str(network.folder),
        "PEERS_PORT": str(port),
        "CUDA_VISIBLE_DEVICES": "-1",
        "BENTOML_DO_NOT_TRACK": "True",
        "no_proxy": "127.0.0.1,localhost",
    }


def _needs_int8(network: Network) -> str:
    return "" if network.int8 else "the network has no int8 form (python -m converter MODEL OUT --int8 IMAGES)"


_UVICORN = ("-m", "uvicorn", "--host=127.0.0.1", "--port=PORT")
_OWN = "both tiers with their defaults and a deadline of 60 s"
_ORT = "ONNX Runtime with a thread for each core"

PEERS = (
    Peer(
        CLASSIC,
        "classic: Flask, TensorFlow",
        "gunicorn with one sync worker that imports TensorFlow; the plain export in the portable server with "
        "TensorFlow's own sessions, which stands for TensorFlow Serving",
        requests.FORM,
        "saved_model",
        _classic,
        environment="classic",
    ),
    Peer(
        "openvino",
        "this project, OpenVINO",
        f"{_OWN}, the converter's form",
        requests.FORM,
        "project",
        _project(),
    ),
    Peer(
        "openvino-int8",
        "this project, OpenVINO, int8",
        f"{_OWN}, --precision=int8",
        requests.FORM,
        "int8",
        _project("--precision=int8"),
        exact=False,
        needs=_needs_int8,
    ),
    Peer(
        "tensorflow",
        "this project, TensorFlow",
        f"{_OWN}, --engine=tensorflow, the converter's form",
        requests.FORM,
        "project",
        _project("--engine=tensorflow"),
    ),
    Peer(
        "fastapi-onnxruntime",
        "FastAPI, ONNX Runtime",
        f"one uvicorn worker, {_ORT}",
        requests.FORM,
        "network.onnx",
        _program(*_UVICORN, "fastapi_onnxruntime:app"),
        environment="fastapi-onnxruntime",
    ),
    Peer(
        "fastapi-openvino",
        "FastAPI, OpenVINO",
        "one uvicorn worker, OpenVINO with the hint LATENCY",
        requests.FORM,
        "network.xml",
        _program(*_UVICORN, "fastapi_openvino:app"),
        environment="fastapi-openvino",
    ),
    Peer(
        "bentoml",
        "BentoML, ONNX Runtime",
        f"one worker, {_ORT}",
        requests.FORM,
        "network.onnx",
        _program("-m", "bentoml", "serve", "bentoml_service:Classifier", "--host=127.0.0.1", "--port=PORT"),
        environment="bentoml",
    ),
    Peer(
        "litserve",
        "LitServe, ONNX Runtime",
        f"one worker, {_ORT}",
        requests.FORM,
        "network.onnx",
        _program("litserve_server.py"),
        environment="litserve",
    ),
    Peer(
        "kserve",
        "KServe's SDK, ONNX Runtime",
        f"one worker, {_ORT}; base64 in JSON (protocol V1)",
        requests.KSERVE,
        "network.onnx",
        _program("kserve_model.py"),
        environment="kserve",
    ),
    Peer(
        "mlserver",
        "MLServer, ONNX Runtime",
        f"one worker of its inference pool, {_ORT}; base64 in JSON (protocol V2)",
        requests.MLSERVER,
        "network.onnx",
        _program(
            *("-c", "from mlserver.cli import main; main()", "start", "mlserver_classifier"),
            MLSERVER_HOST="127.0.0.1",
            MLSERVER_DEBUG="false",
            MLSERVER_HTTP_PORT="PORT",
            MLSERVER_GRPC_PORT="0",
            MLSERVER_METRICS_PORT="0",
        ),
        environment="mlserver",
    ),
)
NAMES = tuple(peer.name for peer in PEERS)
