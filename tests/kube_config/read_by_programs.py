"""What the programs in the pods read: the model server its flags, the gateway its settings, both what traces need."""

from gateway.settings import VARIABLES, Settings
from portable_model_server.flags import Flags, parse
from tests.kube_config.manifests import Object, container_of, variables_of
from tests.model_server.dockerfiles import DOCKERFILES, FOLDER, entrypoint
from tracing.settings import is_wanted


def model_server_flags(objects: list[Object]) -> Flags:
    """The flags as the server reads them: first the entrypoint's, then the Deployment's."""
    arguments = [argument.replace("$(CPU_LIMIT)", "2") for argument in container_of(objects, "model-server")["args"]]
    line = parse([*entrypoint((FOLDER / DOCKERFILES[0]).read_text())[1:], *arguments])
    assert not line.unknown
    assert not line.refused
    return line.flags


def settings(objects: list[Object]) -> Settings:
    """The gateway's settings, without the file of keys, which is there in the pod alone."""
    values = {name: value for name, value in variables_of(objects, "gateway").items() if not name.startswith("OTEL_")}
    assert values.keys() <= set(VARIABLES.values())
    values.pop("GATEWAY_KEYS_FILE", None)
    return Settings.from_env(values)


def traces(objects: list[Object], tier: str) -> bool:
    """Whether a tier has traces on; fails if it would not start."""
    return is_wanted(variables_of(objects, tier))
