"""How pretrained weights are fetched and loaded: random ones in their place, a proxy on loopback as their server."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest
import trustme

from tests.processes import free_port
from tests.training.commands import train
from tests.training.pretrained import stand_in
from tests.training.scans import phantom
from training.train import networks

SERVER = "storage.googleapis.com"
MOBILENET = "mobilenet_1_0_224_tf_no_top.h5"
ADDRESS = f"/tensorflow/keras-applications/mobilenet/{MOBILENET}"


@dataclass
class Proxy:
    """A proxy that ends every https connection itself and responds with the files it was given."""

    port: int
    certificates: Path
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.port}"
        every = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), address) | dict.fromkeys(("no_proxy", "NO_PROXY"), "")
        return {**every, "SSL_CERT_FILE": str(self.certificates)}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    authority = trustme.CA()
    certificates = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(certificates)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(SERVER).configure_cert(tls)

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            plain = self.rfile, self.wfile
            with (
                tls.wrap_socket(self.connection, server_side=True) as secure,
                secure.makefile("rb") as self.rfile,
                secure.makefile("wb") as self.wfile,
            ):
                self.handle_one_request()
            self.rfile, self.wfile = plain
            self.close_connection = True

        def do_GET(self) -> None:
            proxy.requests.append(self.path)
            body = proxy.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(server.server_port, certificates)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield proxy
        server.shutdown()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("imagenet") / "data", training=24, testing=12)


@pytest.fixture(scope="module")
def pretrained() -> keras.Model:
    """A stand-in for the pretrained backbone: random, and different from a new one in every weight."""
    model = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(224, 224, 3))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            spread = rng.uniform(0.5, 1.5, (4, layer.gamma.shape[0]))
            layer.set_weights([spread[0], spread[1] - 1, spread[2] - 1, spread[3]])
    return model


@pytest.fixture(scope="module")
def file(pretrained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / MOBILENET
    pretrained.save(path)  # HDF5, the layout of the real files
    return path.read_bytes()


OPTIONS = ["--model", "MobileNet", "--weights", "imagenet"]


def test_the_command_fetches_weights_and_tunes_them_leaving_the_statistics(
    proxy: Proxy, data: Path, pretrained: keras.Model, file: bytes, tmp_path: Path
) -> None:
    proxy.files[ADDRESS] = file
    home = {"KERAS_HOME": str(tmp_path / "keras")}
    done = train(data, tmp_path / "run", *OPTIONS, "--frozen-epochs", "1", "--epochs", "1", **proxy.environment, **home)
    assert done.returncode == 0, done.stderr
    assert proxy.requests == [ADDRESS]
    assert (tmp_path / "keras" / "models" / MOBILENET).read_bytes() == file
    assert [phase for phase in ("head", "all") if f"phase {phase}: epochs" in done.stderr] == ["head", "all"]

    model = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert type(model.layers[1]) is keras.layers.Rescaling
    # The tuned ones are near the pretrained ones, and the frozen BatchNormalization is as it was.
    tuned = 0
    for layer in pretrained.layers[1:]:
        for mine, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            if isinstance(layer, keras.layers.BatchNormalization):
                np.testing.assert_array_equal(mine, theirs)
            else:
                np.testing.assert_allclose(mine, theirs, atol=1e-3)
                tuned += not np.array_equal(mine, theirs)
    assert tuned > 10  # the first layers' gradients are too small to change a float32


def test_pretrained_weights_pass_by_a_scaling_that_has_weights_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.zeros((1, 32, 32, 3), np.uint8)
    pretrained = stand_in("VGG16", images, tmp_path, monkeypatch)
    for _, theirs, mine in pretrained.beside(networks.build("VGG16", 32, 4, "imagenet")):
        np.testing.assert_array_equal(mine, theirs)


def refused(data: Path, tmp_path: Path, environment: dict[str, str], *options: str) -> str:
    done = train(data, tmp_path / "run", *options, **environment, KERAS_HOME=str(tmp_path / "keras"))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").iterdir())
    return done.stderr


def test_without_a_network_the_command_says_so(data: Path, tmp_path: Path) -> None:
    nowhere = {"https_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": ""}
    output = refused(data, tmp_path, nowhere, *OPTIONS)
    assert f"cannot fetch the weights of MobileNet (URL fetch failure on https://{SERVER}" in output
    assert "--weights none needs none" in output
    assert not list((tmp_path / "keras" / "models").iterdir())


def test_weights_that_arrive_damaged_are_not_used(proxy: Proxy, data: Path, tmp_path: Path) -> None:
    folder = "/tensorflow/keras-applications/mobilenet_v3/"
    proxy.files[f"{folder}weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"] = b"something else"
    output = refused(data, tmp_path, proxy.environment, "--model", "MobileNetV3Small", "--weights", "imagenet")
    assert "MobileNetV3Small cannot be built: Incomplete or corrupted file detected" in output


def test_half_a_file_of_an_earlier_download_is_named(data: Path, file: bytes, tmp_path: Path) -> None:
    models = tmp_path / "keras" / "models"
    models.mkdir(parents=True)
    (models / MOBILENET).write_bytes(file[: len(file) // 2])
    output = refused(data, tmp_path, {}, *OPTIONS)
    assert "cannot load the weights of MobileNet (" in output
    assert "remove their file from $KERAS_HOME/models (~/.keras/models), or use --weights none" in output
