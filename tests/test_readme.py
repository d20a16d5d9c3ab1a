"""What the README says is what the code does."""

import re
from dataclasses import asdict
from pathlib import Path

from gateway.settings import VARIABLES, Settings

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_table_of_settings_is_complete_and_its_defaults_are_the_code_s() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", README, re.MULTILINE))
    assert rows.keys() == {variable for variable, _ in VARIABLES.values()}
    assert Settings.from_env(rows) == Settings()
    defaults = asdict(Settings())
    for field, (variable, _) in VARIABLES.items():
        assert bool(rows[variable]) == bool(defaults[field]), variable


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
