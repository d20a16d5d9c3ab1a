"""What the programs in the pods read: the model server its flags, the gateway its settings."""

from gateway.settings import VARIABLES, Settings
from portable_model_server.flags import Flags, parse
from tests.kube_config.manifests import Object, container_of, one
from tests.model_server.dockerfiles import DOCKERFILES, FOLDER, entrypoint


def model_server_flags(objects: list[Object]) -> Flags:
    """The flags as the server reads them: first the entrypoint's, then the Deployment's."""
    arguments = [argument.replace("$(CPU_LIMIT)", "2") for argument in container_of(objects, "model-server")["args"]]
    line = parse([*entrypoint((FOLDER / DOCKERFILES[0]).read_text())[1:], *arguments])
    assert not line.unknown
    assert not line.refused
    return line.flags


def settings(objects: list[Object]) -> Settings:
    """The gateway's settings, without the file of keys, which is there in the pod alone."""
    (source,) = container_of(objects, "gateway")["envFrom"]
    data = one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    added = {variable["name"]: variable["value"] for variable in container_of(objects, "gateway").get("env", [])}
    assert data.keys() | added.keys() <= set(VARIABLES.values())
    added.pop("GATEWAY_KEYS_FILE", None)
    return Settings.from_env({**data, **added})
