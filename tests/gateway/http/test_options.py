import pytest

from gateway.http.options import Options, read_options
from gateway.images.sent import InvalidRequest


@pytest.mark.parametrize(
    ("texts", "explain"),
    [
        (("", "1", "true", "True", "YES", "on", " true "), True),
        (("0", "false", "FALSE", "no", "Off"), False),
    ],
)
def test_explain(texts, explain):
    for text in texts:
        assert read_options({"explain": text}, {}) == Options(explain, None)
        assert read_options({}, {"explain": text}) == Options(explain, None)


def test_page():
    assert read_options({"page": "12"}, {}) == Options(False, 12)
    assert read_options({}, {"page": " 1 "}) == Options(False, 1)
    assert read_options({"page": ""}, {}) == Options(False, None)


def test_view():
    assert read_options({"view": ""}, {}) == Options(False, None, view=True)
    assert read_options({"view": "no"}, {"view": "yes"}) == Options(False, None, view=False)
    with pytest.raises(InvalidRequest, match="view=true"):
        read_options({"view": "png"}, {})


def test_frame_means_page():
    assert read_options({"frame": "12"}, {}) == Options(False, 12)
    assert read_options({"frame": "2"}, {"page": "3"}) == Options(False, 2)
    assert read_options({}, {"page": "3", "frame": "3"}) == Options(False, 3)
    with pytest.raises(InvalidRequest, match="frame=1"):
        read_options({"frame": "0"}, {})
    with pytest.raises(InvalidRequest, match="Write one of them"):
        read_options({"frame": "2", "page": "3"}, {})


def test_the_query_counts_before_the_body():
    assert read_options({"explain": "no"}, {"explain": "yes", "page": "2"}) == Options(False, 2)


@pytest.mark.parametrize("text", ["truee", "2", "-1", "explain", "null", "ja"])
def test_explain_that_means_nothing(text):
    with pytest.raises(InvalidRequest, match="explain=true"):
        read_options({"explain": text}, {})


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "one", "\u0661", "1000000", "1,2"])
def test_page_that_means_nothing(text):
    with pytest.raises(InvalidRequest, match="page=1"):
        read_options({}, {"page": text})
