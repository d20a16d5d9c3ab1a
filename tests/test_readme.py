"""What the README says is what the code does."""

import json
import re
from dataclasses import asdict
from pathlib import Path

from gateway.settings import VARIABLES, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_complete_and_its_defaults_are_the_code_s() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", README, re.MULTILINE))
    assert rows.keys() == {variable for variable, _ in VARIABLES.values()}
    assert Settings.from_env(rows) == Settings()
    defaults = asdict(Settings())
    for field, (variable, _) in VARIABLES.items():
        assert bool(rows[variable]) == bool(defaults[field]), variable


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_the_figures_of_the_shipped_model_are_its_card_s() -> None:
    metrics = json.loads((ROOT / "model-server" / "models" / "brain-tumor.json").read_text())["metrics"]
    text = " ".join(README.split())
    least = min(metrics["strangers_flagged"].values())
    for figure in (
        f"right on {100 * metrics['accuracy']:.1f} % of {metrics['pictures']:,} phantom pictures",
        f"misses {metrics['tumours_missed']} of {metrics['tumours']} tumours",
        f"flags {100 * least:.0f} to 100 % of pictures that are no scans",
    ):
        assert figure in text
