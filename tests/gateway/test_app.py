"""What the application never does, each checked in a process of its own."""

import subprocess
import sys

from tests.brain_tumor import images
from tests.gateway.fake_model_server import FakeModelServer
from tests.processes import ROOT


def run_with_client(model_server: FakeModelServer, code: str) -> str:
    """What the code prints; it gets ``client``, a gateway's test client, and ``image``, bytes of a good image."""
    # The image comes through standard input: tests.brain_tumor.images takes seconds to make its images.
    start = """
import sys
from gateway.app import create_app
from gateway.model.client import ModelClient
from gateway.settings import Settings
settings = Settings(model_server=sys.argv[1])
client = create_app(settings, ModelClient(settings.model_server, settings.model_name)).test_client()
image = sys.stdin.buffer.read()
"""
    command = [sys.executable, "-c", start + code, model_server.address]
    result = subprocess.run(command, cwd=ROOT, input=images.GLIOMA, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def test_images_are_never_written_to_disk(model_server):
    # Werkzeug by itself puts large uploads into a file; here no file can grow.
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
start = b'--x\\r\\nContent-Disposition: form-data; name="image"; filename="a.png"\\r\\n\\r\\n'
body = start + image + bytes(900_000) + b"\\r\\n--x--\\r\\n"
print(client.post("/predict", data=body, content_type="multipart/form-data; boundary=x").status_code)
"""
    assert run_with_client(model_server, code) == "200"


def test_tensorflow_is_never_imported(model_server):
    code = """
assert client.post("/predict?explain=true", data=image, content_type="image/png").status_code == 200
assert client.post("/predict", json={"url": "http://127.0.0.1/"}).status_code == 422
assert client.get("/readyz").status_code == client.get("/metrics").status_code == 200
heavy = {"tensorflow", "tensorflow_serving", "keras", "openvino", "scipy", "matplotlib", "sklearn"}
print(sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""
    assert run_with_client(model_server, code) == "[]"
