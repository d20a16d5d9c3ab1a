"""What to write into an overlay, for each way to name a container image."""

import pytest

from scripts.canary.overlay import Shares, images_entry


@pytest.mark.parametrize(
    ("name", "image", "entry"),
    [
        ("server:1", "server:2", '  - name: server\n    newTag: "2"'),
        ("server:1", "server:1e3", '  - name: server\n    newTag: "1e3"'),  # a number, if it were not in quotes
        (
            "server:1",
            "host:5000/path/server:2",
            '  - name: server\n    newName: host:5000/path/server\n    newTag: "2"',
        ),
        ("host:5000/server:1", "host:5000/server", '  - name: host:5000/server\n    newTag: "latest"'),
        ("server@sha256:0a", "server@sha256:1b", "  - name: server\n    digest: sha256:1b"),
        ("server:1@sha256:0a", "other:2@sha256:1b", "  - name: server\n    newName: other\n    digest: sha256:1b"),
    ],
)
def test_the_entry_under_images(name: str, image: str, entry: str) -> None:
    assert images_entry(name, image) == f"images:\n{entry}"


def test_shares_are_written_as_they_are_read() -> None:
    shares = Shares(share=12.5, shadow=100)
    assert shares.file() == "share = 12.5\nshadow = 100\n"
    assert Shares.read(shares.file()) == shares
    assert Shares.read("") == Shares(0, 0)
