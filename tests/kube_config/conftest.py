import pytest

from tests.kube_config.manifests import OVERLAYS, Object, build


@pytest.fixture(params=OVERLAYS, ids=lambda path: path.name)
def objects(request) -> list[Object]:
    """The objects of each overlay in turn."""
    return build(request.param)
