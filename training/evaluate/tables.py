"""Metrics as rows of tables, for the report and the model card."""

from collections.abc import Sequence

from brain_tumor.quality.metrics import Metrics
from training.report import share

_NOT_IN_ROWS = ("intervals", "confusion_matrix", "images", "groups", "tumours", "tumours_missed")


def metric_rows(sets: dict[str, Metrics]) -> list[list[str]]:
    """Rows with the name of a metric, and its value and interval in each set of images.

    Args:
        sets: The metrics of each set, by its title.
    """
    first = next(iter(sets.values()))
    rows = [[name, *(str(metrics[name]) for metrics in sets.values())] for name in ("images", "groups")]
    for name, value in first.items():
        if name in _NOT_IN_ROWS:
            continue
        for class_name in value if isinstance(value, dict) else [None]:
            title = name.replace("_", " ") if class_name is None else f"{name}, {class_name}"
            cells = (_with_interval(metrics, name, class_name) for metrics in sets.values())
            rows.append([title.replace("auroc", "AUROC"), *cells])
    if "tumours" in first:
        missed = [f"{metrics['tumours_missed']} of {metrics['tumours']}" for metrics in sets.values()]
        rows.append(["tumours missed", *missed])
    return rows


def operating_point_rows(points: Sequence[Metrics]) -> list[list[str]]:
    """Rows with the class to find, the sensitivity wanted, the threshold, and sensitivity and specificity with it."""
    return [
        [point["finds"], share(point["wanted_sensitivity"], 0), f"{point['threshold']:.6f}"]
        + ["not defined" if point[name] is None else share(point[name]) for name in ("sensitivity", "specificity")]
        for point in points
    ]


def _with_interval(metrics: Metrics, name: str, class_name: str | None) -> str:
    value, interval = metrics[name], metrics["intervals"][name]
    if class_name is not None:
        value, interval = value[class_name], interval[class_name]
    if value is None:
        return "not defined"
    return f"{value:.4f} ({interval[0]:.4f} to {interval[1]:.4f})" if interval else f"{value:.4f}"
