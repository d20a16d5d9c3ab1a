"""Lets every Keras version write its forms: the model, its description, and what the notebook itself predicts."""

import dataclasses
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.integration.forms.catalogue import FORMS, Form
from tests.integration.forms.environments import Environment, environment, versions
from tests.integration.forms.strangers import STRANGERS

_HERE = Path(__file__).parent
_TIMEOUT = 600.0  # seconds for the forms of one Keras version; they take about 20
_AT_ONCE = 2  # Keras versions
_POLL = 0.1  # seconds between two looks at what is there


@dataclass(frozen=True)
class Written:
    """A model as its author hands it over.

    Attributes:
        form: What it is.
        version: The Keras version that wrote it; empty if none did.
        path: The file or folder. Its description lies beside it, with the suffix .json.
    """

    form: Form
    version: str
    path: Path

    @property
    def name(self) -> str:
        """A name that no other form of another version has."""
        return f"{self.form.name}-{self.version}"

    @property
    def description(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def probabilities(self) -> np.ndarray:
        """What the notebook predicts for the images: (image, class)."""
        return np.load(self.path.with_suffix(".npy"))

    @property
    def probabilities_without_limit(self) -> np.ndarray | None:
        """The same without the form's limit; none if it has no limit."""
        path = self.path.with_suffix(".without.npy")
        return np.load(path) if path.exists() else None

    @property
    def file(self) -> str:
        """The file as a reader calls it: its suffix, and its content if that is another's."""
        if self.path.is_dir():
            return "folder"
        suffix = "".join(self.path.suffixes)
        if suffix == ".h5" and zipfile.is_zipfile(self.path):
            return "`.h5` with `.keras` content"
        if suffix == ".keras" and self.path.read_bytes()[:4] == b"\x89HDF":
            return "`.keras` with HDF5 content"
        return f"`{suffix}`"


def write_forms(folder: Path, images: Path, say: Callable[[str], None]) -> Iterator[Written]:
    """Write the forms of all versions of this run into a folder; each as soon as it is there, in any order.

    Two versions are at work at once, and their environments are made at once, while the caller deals with what is
    there already.

    Args:
        folder: Gets a folder for each Keras version.
        images: A folder with image files, which the notebooks predict.
        say: Called with lines about what takes long.
    """
    chosen = versions()

    def write(version: str) -> None:
        forms = [form for form in FORMS if form.written_by(version) and not form.renamed]
        _run(environment(version, say), images, folder / version, *forms)

    # Who writes most begins first, so that none goes on for long alone.
    busiest = sorted(chosen, key=lambda version: sum(form.written_by(version) for form in FORMS), reverse=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        runs = {version: pool.submit(write, version) for version in busiest}
        pending = [(form, version) for version in busiest for form in FORMS if form.written_by(version)]
        while pending:
            ended = {version for version, run in runs.items() if run.done()}
            there = [
                (form, version)
                for form, version in pending
                if _source(form, version, folder).with_suffix(".json").exists()
            ]
            for form, version in there:
                pending.remove((form, version))
                yield _written(form, version, folder)
            for version in ended:
                runs[version].result()  # raises what went wrong
            if not there:
                assert not ended & {version for _, version in pending}, "a notebook ended before it wrote all forms"
                time.sleep(_POLL)
    for form in FORMS:
        if form.notebook in STRANGERS:
            yield _stranger(form, folder / "strangers")


def in_order(written: Written) -> tuple[int, int]:
    """A key that sorts forms as the catalogue has them, and those of one form by their versions."""
    order = [*versions(), ""]
    return FORMS.index(written.form), order.index(written.version)


def write_form(form: Form, version: str, folder: Path, images: Path, say: Callable[[str], None]) -> Written:
    """Write one form of one version, of the catalogue or not, into a folder."""
    _run(environment(version, say), images, folder, form)
    return Written(form, version, folder / f"{form.name}{form.suffix}")


def _run(keras: Environment, images: Path, folder: Path, *forms: Form) -> None:
    orders = (f"{form.notebook}:{form.name}{form.suffix}" for form in forms)
    keras.run("notebooks", images, folder, *orders, folder=_HERE, timeout=_TIMEOUT)


def _source(form: Form, version: str, folder: Path) -> Path:
    """The file that the notebook writes. The description beside it, which is written last, shows that it is whole."""
    name = dataclasses.replace(form, renamed="").name
    return folder / version / f"{name}{form.suffix}"


def _written(form: Form, version: str, folder: Path) -> Written:
    path = folder / version / f"{form.name}{form.renamed or form.suffix}"
    if form.renamed:
        _copy(_source(form, version, folder), path)
    return Written(form, version, path)


def _copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    for beside in (".json", ".npy"):
        shutil.copy(source.with_suffix(beside), target.with_suffix(beside))


def _stranger(form: Form, folder: Path) -> Written:
    folder.mkdir(exist_ok=True)
    written = Written(form, "", folder / f"{form.name}{form.suffix}")
    written.path.write_bytes(STRANGERS[form.notebook]())
    written.description.write_text('{"class_names": ["no", "yes"]}')
    return written
