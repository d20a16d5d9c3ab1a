"""The experiment's first page: what came out, and where everything lies."""

from pathlib import Path
from typing import Any

from brain_tumor.metadata import ModelMetadata
from training.report import Report, share_with_interval


def write(document: dict[str, Any], comparison: dict[str, Any], card: ModelMetadata, out: Path) -> Path:
    """Write ``out/report.html``; returns its path.

    Args:
        document: what ``experiment.json`` holds. comparison: what ``compare.json`` holds. card: of the final run.
    """
    report = Report("Experiment", out, document["data"])
    run, metrics = document["run"], card.metrics
    sets = {"test images, as published": metrics["test"], "without copies": metrics["deduplicated_test"]}
    report.heading("What came out")
    report.text(
        f"{len(comparison['rows'])} networks by {len(comparison['seeds'])} seeds were compared on validation; "
        f"{comparison['chosen']['model']} is the fastest whose accuracy lies within the interval of the best. It was "
        "then tested once."
    )
    report.table(
        ["figure", *sets],
        [
            ["images", *(each["images"] for each in sets.values())],
            *(
                [title, *(share_with_interval(each[name], each["intervals"][name]) for each in sets.values())]
                for name, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1"))
            ),
        ],
        "Values with 95 % intervals.",
    )
    report.text(
        f"The served model was asked for {document['served']['images']} test images; its probabilities differ from "
        f"the evaluation's by {document['served']['largest_difference']:.1e} at most."
    )
    report.heading("Where it lies")
    report.links(
        {
            "Explore: what is in the images": "explore/report.html",
            "Audit: copies, labels, shortcuts": "audit/report.html",
            "Comparison: accuracy against cost": "compare/report.html",
            "Evaluation of the network that was chosen": f"{run}/evaluation/report.html",
            "Its model card": f"{run}/card.md",
            "Its learning curves": f"{run}/curves.png",
            "The model, for the model server": f"{document['version']}/",
        }
    )
    return report.write()
