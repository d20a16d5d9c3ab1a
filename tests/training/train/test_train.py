"""The training command on a phantom of 96 images: what it writes, what it refuses, and that it is reproducible."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from brain_tumor.metadata import ImageSpec, ModelMetadata
from brain_tumor.preprocess import Preprocessor
from tests.training.commands import assert_same, train, train_here, weights
from tests.training.scans import phantom, squares
from training.data.__main__ import main as get_ready
from training.data.data_set import find
from training.data.groups import by_patient
from training.evaluate.__main__ import main as evaluate
from training.train.__main__ import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("train") / "data", training=36, testing=12)


@pytest.fixture(scope="module")
def output() -> dict[str, str]:
    """What the command that ``trained`` ran has printed."""
    return {}


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory, output: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    done = train(data, folder, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    output.update(out=done.stdout, err=done.stderr)
    return folder


@pytest.fixture(scope="module")
def metadata(trained: Path) -> ModelMetadata:
    return ModelMetadata.from_json((trained / "model.json").read_text())


@pytest.fixture(name="squares")
def squares_on_disk(tmp_path: Path) -> Path:
    return squares(tmp_path / "squares")


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], status: int = 1) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    output_text = capsys.readouterr().err
    assert message in output_text
    assert stopped.value.code == status
    assert "Traceback" not in output_text


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_finished_run_holds_its_results_and_no_checkpoint(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == [
        *("curves.png", "epochs.csv", "model.json", "model.keras", "run.json", "tensorboard", "validation.npz")
    ]
    for part in ("train", "validation"):
        assert any((trained / "tensorboard" / part).glob("events*")), part


def test_it_logs_its_progress_and_its_result(trained: Path, output: dict[str, str]) -> None:
    assert "Epoch 2/2" in output["out"]
    assert "val_accuracy" in output["out"]
    assert "62 images to fit, 10 to validate" in output["err"]
    assert "accuracy on 10 validation images" in output["err"]
    assert str(trained / "model.keras") in output["err"]


def test_the_metadata_say_what_was_trained_and_how(metadata: ModelMetadata, data: Path) -> None:
    assert metadata.class_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert (metadata.image, metadata.scaling, metadata.name) == (ImageSpec(32, 32), "none", "")
    assert metadata.explains
    assert metadata.out_of_distribution_threshold is not None
    assert set(metadata.versions) == {"python", "keras", "tensorflow", "numpy"}
    training = metadata.training
    assert (training["data"], training["audited"], training["epochs"]) == ("phantom", False, 2)
    assert training["fingerprint"] == find(data).fingerprint()
    assert training["images"] == {"fitted": 62, "validated": 10}
    assert training["groups"] == {"fitted": 31, "validated": 5}  # two images a patient
    options = training["options"]
    assert (options["model"], options["weights"], options["recipe"], options["seed"]) == ("small", None, "two-phase", 0)
    assert [phase["epochs"] for phase in options["phases"]] == [2]


def test_the_runs_file_says_which_images_were_fitted_and_validated(trained: Path, data: Path) -> None:
    run = json.loads((trained / "run.json").read_text())
    data_set = find(data)
    assert sorted(run["fitted"] + run["validated"]) == list(data_set.training)
    patients = [{data_set.patients[file] for file in run[part]} for part in ("fitted", "validated")]
    assert not patients[0] & patients[1]
    assert {Path(file).parent.name for file in run["validated"]} == set(data_set.class_names)


def test_the_outputs_for_validation_are_kept(trained: Path, metadata: ModelMetadata, data: Path) -> None:
    preprocessor = Preprocessor(metadata.image)
    with np.load(trained / "validation.npz") as kept:
        batch = np.concatenate([preprocessor.from_bytes((data / file).read_bytes()) for file in kept["files"]])
        logits = keras.models.load_model(trained / "model.keras").predict(batch, verbose=0)
        np.testing.assert_allclose(kept["logits"], logits, rtol=1e-5, atol=1e-6)
        assert kept["labels"].tolist() == [metadata.class_names.index(Path(file).parent.name) for file in kept["files"]]
        accuracy = (kept["logits"].argmax(1) == kept["labels"]).mean()
    assert metadata.metrics["validation"]["images"] == 10
    assert metadata.metrics["validation"]["accuracy"] == round(float(accuracy), 4)


def test_the_epochs_are_a_table_and_a_figure(trained: Path) -> None:
    with (trained / "epochs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["epoch"], row["phase"]) for row in rows] == [("1", "all"), ("2", "all")]
    assert all(float(row["validation_loss"]) > 0 and 0 <= float(row["validation_accuracy"]) <= 1 for row in rows)
    with Image.open(trained / "curves.png") as curves:
        assert curves.width > curves.height > 200


def test_the_model_has_no_optimizer_state_and_takes_raw_pixels(trained: Path) -> None:
    with (
        zipfile.ZipFile(trained / "model.keras") as archive,
        archive.open("model.weights.h5") as stream,
        h5py.File(stream) as file,
    ):
        assert "optimizer" not in file
    model = keras.models.load_model(trained / "model.keras")
    assert not model.compiled
    assert model.input_shape == (None, 32, 32, 3)
    assert model.predict(np.zeros((2, 32, 32, 3), np.uint8), verbose=0).shape == (2, 4)


def test_the_same_command_gives_the_same_model_elsewhere(data: Path, trained: Path, tmp_path: Path) -> None:
    train_here(data, tmp_path / "again", "--epochs", "2")
    assert_same(weights(trained), weights(tmp_path / "again"))
    both = [json.loads((folder / "model.json").read_text()) for folder in (trained, tmp_path / "again")]
    for metadata in both:
        del metadata["training"]["seconds"]
    assert both[0] == both[1]


def test_a_finished_run_is_left_as_it_is(data: Path, trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = contents(trained)
    with caplog.at_level("INFO"):
        train_here(data, trained, "--epochs", "2")
    assert "is trained already; its class without tumour: notumor" in caplog.text
    assert contents(trained) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "2", "--seed", "3"], "holds a run of another seed (0, not 3): name another folder, or remove"),
        (
            ["--epochs", "2", "--recipe", "original"],
            "holds a run of another augmentation brightness",
        ),  # the first by name
        (["--epochs", "4"], "holds a run of another phases 1 epochs"),
    ],
)
def test_another_run_does_not_go_into_its_folder(
    options: list[str], message: str, data: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(trained)
    refused([str(data), str(trained), "--size", "32", *options], message, capsys)
    assert contents(trained) == before


def test_a_run_on_other_images_is_another_run(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(data, tmp_path / "other")
    shutil.copy(other / "Training/glioma/Tr-gl_0000.jpg", other / "Training/glioma/Tr-gl_0001.jpg")
    arguments = [str(other), str(trained), "--size", "32", "--epochs", "2"]
    refused(arguments, "holds a run of another fingerprint", capsys)


def test_a_model_that_no_run_made_is_not_overwritten(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.json").write_text("{}")
    refused([str(squares), str(tmp_path / "run")], "holds a model that no run of ours made", capsys)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.json"]


def test_a_folder_of_yes_and_one_of_no_groups_and_another_recipe_are_enough(data: Path, tmp_path: Path) -> None:
    two = tmp_path / "two classes"
    for name, original in (("yes", "glioma"), ("no", "notumor")):
        shutil.copytree(data / "Training" / original, two / name)
        shutil.copytree(data / "Testing" / original, two / name, dirs_exist_ok=True)
    assert get_ready([str(two)]) == 0
    data_set = find(two)
    assert (data_set.drawn, len(data_set.training), len(data_set.testing)) == (True, 38, 10)
    groups = tmp_path / "groups.json"
    by_patient(data_set).save(groups, data_set.fingerprint())
    options = ["--groups", str(groups), "--recipe", "original", "--epochs", "1", "--seed", "7"]
    train_here(two, tmp_path / "run", *options, "--resampling", "box", "--label-smoothing", "0.1", "--batch-size", "8")
    metadata = ModelMetadata.from_json((tmp_path / "run" / "model.json").read_text())
    assert metadata.class_names == ("no", "yes")
    assert (metadata.training["healthy_class"], metadata.training["drawn"]) == ("no", True)
    assert metadata.image.resampling == "box"
    assert not metadata.explains  # a hidden layer
    assert metadata.training["audited"]
    assert metadata.training["data"] == "two classes"
    options = metadata.training["options"]
    assert (options["recipe"], options["seed"]) == ("original", 7)
    assert (options["label_smoothing"], options["batch_size"]) == (0.1, 8)
    assert evaluate([str(tmp_path / "run"), str(two), "--groups", str(groups)]) == 0
    metrics = ModelMetadata.from_json((tmp_path / "run" / "model.json").read_text()).metrics
    assert metrics["test"]["tumours"] == sum(data_set.labels(data_set.testing) == 1)
    assert metrics["operating_points"][0]["finds"] == "any tumour"
    assert "| metric | as drawn |" in (tmp_path / "run" / "evaluation" / "report.md").read_text()


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        (["--model", "Xcepton"], "there is no model Xcepton; did you mean Xception", 1),
        (["--model", "small", "--weights", "imagenet"], "small has no pretrained weights", 1),
        (["--weights", "coco"], "invalid choice: 'coco'", 2),
        (["--recipe", "secret"], "invalid choice: 'secret'", 2),
        (["--resampling", "best"], "invalid choice: 'best'", 2),
        (["--precision", "float8"], "invalid choice: 'float8'", 2),
        (["--epochs", "0"], "--epochs must be above 0, not 0", 2),
        (["--epochs", "many"], "--epochs: invalid int value: 'many'", 2),
        (["--frozen-epochs", "-1"], "--frozen-epochs must not be negative, not -1", 2),
        (["--size", "-3"], "--size must be above 0, not -3", 2),
        (["--size", "5000"], "--size must be at most 1024, not 5000", 2),
        (["--batch-size", "0"], "--batch-size must be above 0", 2),
        (["--learning-rate", "0"], "--learning-rate must be above 0", 2),
        (["--learning-rate", "nan"], "--learning-rate must be above 0", 2),
        (["--learning-rate", "inf"], "--learning-rate must be finite", 2),
        (["--patience", "0"], "--patience must be above 0", 2),
        (["--label-smoothing", "1"], "--label-smoothing must be 0 to below 1, not 1.0", 2),
        (["--label-smoothing", "-0.1"], "--label-smoothing must be 0 to below 1, not -0.1", 2),
        (["--seed", "-1"], "--seed must be 0 to 4294967294", 2),
        (["--split-seed", "4294967295"], "--split-seed must be 0 to 4294967294", 2),
        (["--patient", "3"], "unrecognized arguments: --patient 3", 2),
    ],
)
def test_bad_options_are_refused_before_the_data_are_looked_for(
    options: list[str], message: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([str(tmp_path / "nowhere"), str(tmp_path / "run"), *options], message, capsys, status)
    assert not list(tmp_path.iterdir())


def remove_all(folder: Path) -> None:
    shutil.rmtree(folder)


def rename_a_split(folder: Path) -> None:
    (folder / "Training").rename(folder / "Fitting")


def rename_a_class(folder: Path) -> None:
    (folder / "Testing" / "dark").rename(folder / "Testing" / "Dark")


def empty_a_class(folder: Path) -> None:
    for path in (folder / "Training" / "bright").iterdir():
        path.unlink()


def leave_one_image(folder: Path) -> None:
    for path in list((folder / "Training" / "bright").iterdir())[1:]:
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_all, "there is no folder"),
        (rename_a_split, "has no folder Training: it must hold Training/CLASS/IMAGE and Testing/CLASS/IMAGE"),
        (rename_a_class, "has Dark: rename one"),
        (empty_a_class, "bright has no image"),
        (leave_one_image, "bright needs training images of two or more patients"),
    ],
)
def test_data_that_cannot_be_used_are_explained(
    spoil, message: str, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(squares)
    refused([str(squares), str(tmp_path / "run")], message, capsys)
    assert not list((tmp_path / "run").glob("*"))


def test_an_unreadable_image_is_named_and_nothing_is_written(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (squares / "Training" / "dark" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    refused([str(squares), str(tmp_path / "run"), "--size", "32"], "Training/dark/2.png: The image is damaged", capsys)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("run", ["file", "file/run"])
def test_a_folder_that_cannot_be_written_is_found_first(
    run: str, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    refused([str(squares), str(tmp_path / run)], f"cannot write to {tmp_path / run}: ", capsys)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "groups.json: No such file or directory; make it with python -m training.audit"),
        ("[]", "is not what python -m training.audit writes"),
        ('{"fingerprint": "", "groups": {}, "copies": {}}', "belongs to other images"),
    ],
)
def test_groups_that_do_not_fit_are_refused(
    text: str | None, message: str, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = tmp_path / "groups.json"
    if text:
        groups.write_text(text)
    refused([str(squares), str(tmp_path / "run"), "--groups", str(groups)], message, capsys)
    assert not (tmp_path / "run").exists()
