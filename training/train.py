"""``python -m training.train DATA OUT.keras``: a folder of pictures to a Keras model and its card."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.card import RESAMPLINGS
from training import data, networks, pipeline

log = logging.getLogger(__name__)

_MAX_SIDE = 1024  # pixels; no backbone takes more


class OutputError(Exception):
    """The model cannot be written where it should be; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and say what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train a classifier of brain scans. Writes OUT.keras and, beside it, its card OUT.json.",
    )
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="holds Training/CLASS/PICTURE and Testing/CLASS/PICTURE"
    )
    parser.add_argument("out", type=Path, metavar="OUT.keras", help="the model to write")
    parser.add_argument(
        "--model", default=networks.SMALL, help="small, or a backbone of keras.applications by name (default: small)"
    )
    parser.add_argument(
        "--weights", choices=("imagenet", "none"), default="none",
        help="imagenet: fetch pretrained weights and train the head alone (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=int, help="the model's picture side, pixels (default: what the model is made for)"
    )
    parser.add_argument("--resampling", choices=RESAMPLINGS, default="bilinear", help="(default: bilinear)")
    parser.add_argument("--epochs", type=int, default=12, help="(default: 12)")
    parser.add_argument("--batch-size", type=int, default=32, help="(default: 32)")
    parser.add_argument("--learning-rate", type=float, default=0.002, help="at the start (default: 0.002)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same model (default: 0)")
    args = parser.parse_args(argv)
    for name in ("size", "epochs", "batch_size", "learning_rate"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if args.size is not None and args.size > _MAX_SIDE:
        parser.error(f"--size must be at most {_MAX_SIDE}, not {args.size}")
    if not 0 <= args.seed < 2**32 - 1:
        parser.error("--seed must be 0 to 4294967294")
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        networks.check(args.model)
        if args.model == networks.SMALL and args.weights != "none":
            raise networks.NetworkError("small has no pretrained weights: use --weights none, or a backbone")
        _check_writable(args.out)
        options = pipeline.Options(
            args.model,
            None if args.weights == "none" else args.weights,
            args.size or networks.default_side(args.model),
            args.resampling,
            args.epochs,
            args.batch_size,
            args.learning_rate,
            args.seed,
        )
        model, card = pipeline.train(data.find(args.data), options)
        pipeline.save(model, card, args.out)
    except (data.DataError, networks.NetworkError, OutputError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: stopped, nothing written\n")
    metrics = card.metrics
    log.info("accuracy on %d test pictures: %.2f %%", metrics["pictures"], 100 * metrics["accuracy"])
    log.info("written: %s, %s", args.out, args.out.with_suffix(".json"))
    return 0


def _check_writable(out: Path) -> None:
    """Find out before the long work whether its result can be kept."""
    if out.suffix != ".keras":
        raise OutputError(f"the model's name must end in .keras, not {out.name}")
    if out.is_dir():
        raise OutputError(f"{out} is a folder")
    probe = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
