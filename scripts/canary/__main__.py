"""Try the next model on a cluster: ``python -m scripts.canary {begin,report,promote,rollback}``, as make calls it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.canary.bounds import Bounds
from scripts.canary.errors import CanaryError, RefusedError
from scripts.canary.kubectl import Kubectl
from scripts.canary.overlay import Overlay
from scripts.canary.steps import Steps

_BOUNDS = Path(__file__).parents[2] / "kube-config" / "components" / "canary" / "bounds.toml"


def main(arguments: Sequence[str]) -> int:
    """Do one step.

    Returns:
        The exit code: 0 if it is done, 1 after a message if it failed, 3 if the bounds keep the canary from serving.
    """
    given = _parser().parse_args(arguments)
    try:
        overlay = Overlay(given.overlay)
        steps = Steps(overlay, Kubectl(overlay.namespace))
        if given.step == "report":
            steps.report()
            return 0
        if overlay.has_canary:
            raise CanaryError(f"the overlay {overlay.name} has the canary in it: change it there, then make deploy")
        if given.step == "begin":
            steps.begin(given.image, given.share, given.shadow)
        elif given.step == "promote":
            steps.promote(Bounds.read(given.bounds))
        else:
            steps.roll_back()
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 3
    except CanaryError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.canary", description="Try the next model on a cluster.")
    parser.add_argument("--overlay", type=Path, required=True, help="the folder of the overlay that is deployed")
    steps = parser.add_subparsers(dest="step", required=True)
    begin = steps.add_parser("begin", help="start a canary, or change the shares of the one that runs")
    begin.add_argument("--image", default="", help="its container image, as name:tag")
    begin.add_argument("--share", type=_percent, help="percent of the requests that it answers (10)")
    begin.add_argument("--shadow", type=_percent, help="percent of the others for the comparison (50)")
    steps.add_parser("report", help="print how the canary does")
    promote = steps.add_parser("promote", help="let the canary answer all requests, if it keeps the bounds")
    promote.add_argument("--bounds", type=Path, default=_BOUNDS, help="a TOML file with the bounds (%(default)s)")
    steps.add_parser("rollback", help="end the canary, or undo the last promotion")
    return parser


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
