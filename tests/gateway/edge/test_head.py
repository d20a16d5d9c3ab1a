import h11
import pytest

from gateway.edge.head import Head, read_head


def read(target: bytes, root_path: str = "") -> Head:
    return read_head(h11.Request(method="post", target=target, headers=[("Host", "x")]), root_path)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/predict?explain=true", "/predict", "explain=true"),
        (b"/a%20b/%C3%A4?x=%20", "/a b/\u00c3\u00a4", "x=%20"),
        (b"http://somewhere/predict?a=http://b/c", "/predict", "a=http://b/c"),
        (b"http://somewhere", "/", ""),
        (b"http://somewhere?a=/predict", "/", "a=/predict"),
        (b"predict?a=http://b/c", "/predict", "a=http://b/c"),
        (b"/predict?url=http://a/b", "/predict", "url=http://a/b"),
        (b"*", "/*", ""),
        (b"//predict", "/predict", ""),
        (b"predict", "/predict", ""),
    ],
)
def test_path_and_query(target, path, query):
    head = read(target)
    assert (head.path, head.query) == (path, query)
    assert head.method == "POST"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/tools/brain/livez", "/livez"),
        (b"/livez", "/livez"),
        (b"//tools/brain//livez", "/livez"),
        (b"/tools/%62rain/livez", "/livez"),
        (b"http://somewhere/tools/brain/livez?a=b", "/livez"),
        (b"http://somewhere/tools/brain", ""),
        (b"/tools/brain", ""),
        (b"/tools/brain?a=/b", ""),
        (b"/tools/brain/", "/"),
        (b"/tools/brain/tools/brain/livez", "/tools/brain/livez"),
        (b"/tools/brainlivez", "/tools/brainlivez"),
        (b"/tools", "/tools"),
        (b"/x/tools/brain/livez", "/x/tools/brain/livez"),
    ],
)
def test_the_root_path_is_taken_off(target, path):
    assert read(target, "/tools/brain").path == path
