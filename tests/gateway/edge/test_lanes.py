import pytest

from gateway.edge.lanes import Lane, Route, Routes

RULES = {
    ("GET", "/"): Lane.AT_ONCE,
    ("POST", "/do"): Lane.WORK,
    ("POST", "/m/<model>/do"): Lane.WORK,
    ("GET", "/m/<model>/v/<version>"): Lane.READINESS,
    ("GET", "/a.b/<x>"): Lane.READINESS,
    ("GET", "/files/<path:x>"): Lane.AT_ONCE,
}
ROUTES = Routes(
    {
        **{key: Route(key[1], lane) for key, lane in RULES.items()},
        ("GET", "/probe"): Route("/probe", Lane.AT_ONCE, admin_only=True),
        ("GET", "/probe/<x>"): Route("/probe/<x>", Lane.AT_ONCE, admin_only=True),
    },
    Route("none", Lane.OTHER),
)


@pytest.mark.parametrize(
    ("method", "path", "lane", "rule"),
    [
        ("GET", "/", Lane.AT_ONCE, "/"),
        ("HEAD", "/", Lane.AT_ONCE, "/"),
        ("POST", "/", Lane.OTHER, "none"),
        ("POST", "/do", Lane.WORK, "/do"),
        ("POST", "/do/", Lane.WORK, "/do"),
        ("GET", "/do", Lane.OTHER, "none"),
        ("POST", "/do/x", Lane.OTHER, "none"),
        ("POST", "/m/a b\n/do", Lane.WORK, "/m/<model>/do"),
        ("POST", "/m/a/b/do", Lane.OTHER, "none"),
        ("POST", "/m//do", Lane.OTHER, "none"),
        ("POST", "/x/m/a/do", Lane.OTHER, "none"),
        ("HEAD", "/m/a/v/1", Lane.READINESS, "/m/<model>/v/<version>"),
        ("GET", "/aXb/1", Lane.OTHER, "none"),
        ("GET", "/files/a/b\n.js", Lane.AT_ONCE, "/files/<path:x>"),
        ("GET", "/files", Lane.OTHER, "none"),
    ],
)
def test_lane(method, path, lane, rule):
    assert ROUTES.find(method, path) == (rule, lane, None, False)


@pytest.mark.parametrize("path", ["/probe", "/probe/", "/probe/a"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "NONSENSE"])
def test_a_path_of_one_port_is_there_with_no_method_at_the_other(method, path):
    assert ROUTES.find(method, path).admin_only
    assert not ROUTES.find(method, f"{path}/b/c").admin_only
