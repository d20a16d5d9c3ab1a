from copy import deepcopy

import pytest

from tests.kube_config.manifests import ON_GPUS, OVERLAYS, TOGETHER, Object, build, build_with


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("everything"), *TOGETHER)


@pytest.fixture(scope="session")
def on_gpus(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("on_gpus"), *ON_GPUS)


@pytest.fixture(params=[*OVERLAYS, "everything", "on_gpus"], ids=lambda param: getattr(param, "name", param))
def objects(request) -> list[Object]:
    """The objects of each overlay in turn, and of the base with all components: no overlay has all of them."""
    made = request.param
    return deepcopy(request.getfixturevalue(made)) if isinstance(made, str) else build(made)
