"""The experiment's report: what came out, and where everything lies."""

from pathlib import Path
from typing import Any

from brain_tumor.metadata import ModelMetadata
from training.report import Report, share_with_interval


def write(document: dict[str, Any], comparison: dict[str, Any], metadata: ModelMetadata, out: Path) -> Path:
    """Write ``out/report.html``.

    Args:
        document: The content of ``experiment.json``.
        comparison: The content of ``compare.json``.
        metadata: The metadata of the selected run, evaluated.
        out: The experiment's folder.

    Returns:
        The report's path.
    """
    report = Report("Experiment", out, document["data"])
    run, metrics = document["run"], metadata.metrics
    sets = {"test images, as published": metrics["test"], "without copies": metrics["deduplicated_test"]}
    report.heading("What came out")
    report.text(
        f"{len(comparison['rows'])} networks by {len(comparison['seeds'])} seeds were compared on validation; "
        f"{comparison['selected']['model']} is the fastest whose accuracy lies within the interval of the best. It was "
        "then tested once."
    )
    report.table(
        ["metric", *sets],
        [
            ["images", *(values["images"] for values in sets.values())],
            *(
                [title, *(share_with_interval(values[name], values["intervals"][name]) for values in sets.values())]
                for name, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1"))
            ),
        ],
        "Values with 95 % intervals.",
    )
    report.text(
        f"{document['served']['images']} test images were sent to the served model; its probabilities differ from "
        f"those of the evaluation by {document['served']['largest_difference']:.1e} at most."
    )
    report.heading("Where it lies")
    report.links(
        {
            "Explore: what is in the images": "explore/report.html",
            "Audit: copies, labels, shortcuts": "audit/report.html",
            "Comparison: accuracy against cost": "compare/report.html",
            "Evaluation of the selected network": f"{run}/evaluation/report.html",
            "Its model card": f"{run}/card.md",
            "Its learning curves": f"{run}/curves.png",
            "The model, for the model server": f"{document['version']}/",
        }
    )
    return report.write()
