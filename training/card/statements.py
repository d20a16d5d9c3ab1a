"""The statements of a model card that are not metrics, made from the run's own files."""

from typing import Any

from brain_tumor.metadata import PHANTOM, ModelMetadata
from training.audit.shortcuts import TOGETHER
from training.card.tripod import tripod_items
from training.data.healthy import not_counted
from training.report import share

INTENDED_USE = (
    "Research on the classification of brain MRI images, and teaching and testing of how such a classifier is built, "
    "served and scaled."
)
OUT_OF_SCOPE = (
    "Diagnosis, triage, treatment, or any other decision about a person. Images that are no brain MRI, whole volumes, "
    "other sequences or planes than those in the data, children, and findings other than the classes."
)


def documentation(metadata: ModelMetadata, audit: dict[str, Any] | None) -> dict[str, Any]:
    """The statements of the card: use, data, groups, limits, and the items of TRIPOD+AI by name.

    Args:
        metadata: The metadata of a run that was evaluated.
        audit: The content of ``audit.json``, where there was an audit.
    """
    data, groups, limits = _data(metadata), _groups(metadata), _limits(metadata, audit)
    return {
        "intended_use": INTENDED_USE,
        "out_of_scope": OUT_OF_SCOPE,
        "data": data,
        "groups": groups,
        "limits": limits,
        "tripod_ai": tripod_items(metadata, data, groups, limits, OUT_OF_SCOPE),
    }


def _data(metadata: ModelMetadata) -> str:
    training, test = metadata.training, metadata.metrics["test"]
    images = training["images"]
    if training["data"] == PHANTOM:
        source = "Synthetic phantom images that this project makes; no scan of a person is among them."
    elif training.get("drawn"):
        source = (
            f"The folder {training['data']}, with a folder for each class and no test images; nothing is known here of "
            "where they come from. This project drew the test images: no patient that the manifest names and no exact "
            "copy of a file is on both sides."
        )
    else:
        source = (
            f"The folder {training['data']}, in the layout of the Kaggle data set Brain Tumor MRI. The images of that "
            "data set come from several sources, without patient identifiers, demographics or acquisition parameters; "
            "nothing is known here of other images in this layout."
        )
    return (
        f"{source} {images['fitted']} images to fit, {images['validated']} held out of Training to validate, "
        f"{test['images']} to test. SHA-256 over names and contents: {training['fingerprint']}."
    )


def _groups(metadata: ModelMetadata) -> str:
    training, metrics = metadata.training["groups"], metadata.metrics
    test, deduplicated = metrics["test"], metrics["deduplicated_test"]
    counts = (
        f"{training['fitted']} groups to fit and {training['validated']} to validate; no group is in both. "
        f"{test['groups']} groups to test."
    )
    definition = (
        "A group holds the images of one patient where a manifest names patients, and all copies of these images, "
        "exact or near, that the audit found."
        if metadata.training["audited"]
        else "In training and validation, a group holds the images of one patient where a manifest names patients, and "
        "a single image elsewhere. Nobody looked for copies before these images were split, so copies may be on both "
        "sides."
    )
    if deduplicated is None:
        return f"{definition} {counts} Nobody looked for copies among the test images."
    return (
        f"{definition} {counts} {test['images'] - deduplicated['images']} test images belong together with a training "
        f"image or are copies of another test image; {deduplicated['images']} remain without them."
    )


def _limits(metadata: ModelMetadata, audit: dict[str, Any] | None) -> list[str]:
    test = metadata.metrics["test"]
    divider = "this project" if metadata.training.get("drawn") else "its publisher"
    limits = [
        f"The data are one data set, split by {divider}. Nothing here measures how the model does at another "
        "hospital, on another scanner, or on other patients.",
        "The images are single slices exported as ordinary images. Grey levels, size and annotation depend on who "
        "exported them, and a network can learn these instead of the anatomy.",
        "Age, sex, ethnicity and scanner are not known, so fairness between groups of people cannot be assessed.",
        "The out-of-distribution score was tested on images that are no scans; other organs, other sequences and rare "
        "findings were not tested.",
        "The metrics on validation are optimistic. The epoch that was kept, the temperature and the threshold were "
        "selected on the same images, and so were the network and the learning rate where several were compared.",
    ]
    limits.append(
        f"It took {test['tumours_missed']} of {test['tumours']} tumours in the test images for none."
        if "tumours" in test
        else not_counted(metadata.class_names)
    )
    if metadata.metrics["deduplicated_test"] is None:
        limits.append("Copies of training images may be among the test images; nobody looked for them.")
    if audit is not None:
        limits += _audit_limits(audit)
    if metadata.training["data"] == PHANTOM:
        limits.insert(0, "It was trained and tested on a phantom: no number here says anything about scans of people.")
    return limits


def _audit_limits(audit: dict[str, Any]) -> list[str]:
    """What the audit found that the metrics cannot show."""
    best = max(audit["shortcuts"], key=lambda shortcut: shortcut["balanced_accuracy"])
    low, high = best["interval"]
    features = "border, size, format and brightness" if best["sees"] == TOGETHER else best["sees"]
    limits = [
        f"A classifier that sees {features} and nothing else reaches a balanced accuracy of "
        f"{share(best['balanced_accuracy'])} ({share(low)} to {share(high)}; chance: {share(best['chance'])}). That "
        "much is possible on this data set without looking at the anatomy."
    ]
    if contradictory := len(audit["contradictory"]):
        limits.append(f"{contradictory} clusters of copies lie in folders of several classes: some labels are wrong.")
    return limits
