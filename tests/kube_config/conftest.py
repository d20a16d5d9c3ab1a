from copy import deepcopy

import pytest

from tests.kube_config.manifests import OVERLAYS, TOGETHER, Object, build, build_with


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("everything"), *TOGETHER)


@pytest.fixture(params=[*OVERLAYS, None], ids=lambda path: path.name if path else "all components")
def objects(request) -> list[Object]:
    """The objects of each overlay in turn, and of the base with all components: no overlay has all of them."""
    return build(request.param) if request.param else deepcopy(request.getfixturevalue("everything"))
