"""What the commands that train share: their options, and how they end."""

import argparse
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brain_tumor.metadata import RESAMPLINGS
from training.data import DataSet
from training.data.groups import Groups, by_patient, load
from training.errors import TrainingError
from training.train import recipes

log = logging.getLogger(__name__)

_MAX_SIDE = 1024  # pixels; no backbone takes more
WEIGHTS = ("imagenet", "none")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")


class OutputError(TrainingError):
    """A result cannot be written where it should be; the message says why."""


def parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser that names the command as it is called."""
    return argparse.ArgumentParser(prog=f"python -m training.{command}", description=description)


def add_data(made: argparse.ArgumentParser) -> None:
    """DATA, a folder of images."""
    made.add_argument("data", type=Path, metavar="DATA", help="holds Training/CLASS/IMAGE and Testing/CLASS/IMAGE")


def add_groups(made: argparse.ArgumentParser) -> None:
    """The groups that an audit found in DATA."""
    made.add_argument(
        "--groups", type=Path, metavar="FILE",
        help="groups.json of python -m training.audit (default: patients, where a manifest names them)",
    )  # fmt: skip


def add_training(made: argparse.ArgumentParser) -> None:
    """The options of a run, but for its model."""
    add = made.add_argument
    add("--weights", choices=WEIGHTS, default="none", help="imagenet: fetch pretrained weights (default: none)")
    add("--recipe", choices=recipes.RECIPES, default=recipes.TWO_PHASE, help="(default: %(default)s)")
    add("--size", type=int, help="the model's image side, pixels (default: what the model is made for)")
    add("--resampling", choices=RESAMPLINGS, default="bilinear", help="(default: %(default)s)")
    add("--epochs", type=int, help="of the main phase (default: the recipe's)")
    add(
        "--frozen-epochs",
        type=int,
        help="of the phase before it, with pretrained weights; 0 leaves it out (default: 5)",
    )
    add("--batch-size", type=int, default=32, help="(default: %(default)s)")
    add("--learning-rate", type=float, help="of the main phase, at its start (default: the recipe's)")
    add("--label-smoothing", type=float, default=0.0, help="0 to below 1 (default: %(default)s)")
    add(
        "--patience",
        type=int,
        help="epochs without a better validation loss until a phase ends (default: the recipe's)",
    )
    add("--precision", choices=PRECISIONS, default="auto", help="auto: mixed_float16 on a GPU that is fast with it")
    add("--seed", type=int, default=0, help="the same seed gives the same model (default: %(default)s)")
    add("--split-seed", type=int, default=0, help="of what is held out to validate on (default: %(default)s)")


def training_options(made: argparse.ArgumentParser, args: argparse.Namespace, model: str) -> recipes.Options:
    """The options of one model's run, as the command line says.

    Raises:
        NetworkError: no such model, or no such weights of it.
    """
    for name in ("size", "epochs", "batch_size", "learning_rate", "patience"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            made.error(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if args.learning_rate == math.inf:
        made.error("--learning-rate must be finite")
    if args.size is not None and args.size > _MAX_SIDE:
        made.error(f"--size must be at most {_MAX_SIDE}, not {args.size}")
    if args.frozen_epochs is not None and args.frozen_epochs < 0:
        made.error(f"--frozen-epochs must not be negative, not {args.frozen_epochs}")
    if not 0 <= args.label_smoothing < 1:
        made.error(f"--label-smoothing must be 0 to below 1, not {args.label_smoothing}")
    for name in ("seed", "split_seed"):
        if not 0 <= getattr(args, name) < 2**32 - 1:
            made.error(f"--{name.replace('_', '-')} must be 0 to 4294967294")
    weights = None if args.weights == "none" else args.weights
    return recipes.options(
        args.recipe,
        model,
        weights,
        side=args.size,
        resampling=args.resampling,
        epochs=args.epochs,
        frozen_epochs=args.frozen_epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        label_smoothing=args.label_smoothing,
        patience=args.patience,
        precision=_fast_precision() if args.precision == "auto" else args.precision,
        seed=args.seed,
        split_seed=args.split_seed,
    )


def groups_of(args: argparse.Namespace, found: DataSet) -> Groups:
    """The audit's groups, or without an audit the patients.

    Raises:
        DataError: the file is none, or belongs to other images.
    """
    return load(args.groups, found) if args.groups else by_patient(found)


def check_folder(folder: Path) -> None:
    """Find out before the long work whether its results can be kept.

    Raises:
        OutputError: ``folder`` cannot be made or written to.
    """
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from None


@contextmanager
def ending(made: argparse.ArgumentParser, interrupted: str) -> Iterator[None]:
    """Turn what is the user's to mend into a message and status 1, and Ctrl-C into status 130.

    Args:
        interrupted: what Ctrl-C leaves behind.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        yield
    except TrainingError as error:
        made.exit(1, f"{made.prog}: {error}\n")
    except OSError as error:  # a disk that filled up, or went away
        made.exit(1, f"{made.prog}: {error.filename or 'a file'}: {error.strerror or error}; {interrupted}\n")
    except KeyboardInterrupt:
        made.exit(130, f"\n{made.prog}: stopped; {interrupted}\n")


def _fast_precision() -> str:
    """Half precision where every GPU has tensor cores (compute capability 7 or more; NVIDIA's Volta)."""
    import tensorflow as tf  # not for --help

    devices = tf.config.list_physical_devices("GPU")
    capabilities = [
        tf.config.experimental.get_device_details(each).get("compute_capability", (0, 0)) for each in devices
    ]
    return "mixed_float16" if capabilities and min(capabilities) >= (7, 0) else "float32"
