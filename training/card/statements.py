"""What a model card says beyond figures: each sentence about this run is made from the run's own files."""

from typing import Any

from brain_tumor.metadata import PHANTOM, ModelMetadata
from training.metrics import HEALTHY
from training.report import share, share_with_interval

INTENDED_USE = (
    "Research on the classification of brain MRI images, and teaching and testing of how such a classifier is built, "
    "served and scaled."
)
OUT_OF_SCOPE = (
    "Diagnosis, triage, treatment, or any other decision about a person. Images that are no brain MRI, whole volumes, other "
    "sequences or planes than those in the data, children, and findings other than the classes."
)


def documentation(card: ModelMetadata, audit: dict[str, Any] | None) -> dict[str, Any]:
    """What goes into the card: use, data, groups, limits, and the items of TRIPOD+AI by name.

    Args:
        card: of a run that was evaluated. audit: what ``audit.json`` holds, where there was an audit.
    """
    return {
        "intended_use": INTENDED_USE,
        "out_of_scope": OUT_OF_SCOPE,
        "data": _data(card),
        "groups": _groups(card),
        "limits": _limits(card, audit),
        "tripod_ai": _tripod(card, audit),
    }


def _data(card: ModelMetadata) -> str:
    training, test = card.training, card.metrics["test"]
    images = training["images"]
    source = (
        "Synthetic phantom images that this project makes; no scan of a person is among them."
        if training["data"] == PHANTOM
        else f"The folder {training['data']}, in the layout of the Kaggle data set Brain Tumor MRI. The images of that data set "
        "come from several sources, without patient identifiers, demographics or acquisition parameters; of other images in "
        "this layout, nothing is known here."
    )
    return (
        f"{source} {images['fitted']} images to fit, {images['validated']} held out of Training to validate, "
        f"{test['images']} to test. SHA-256 over names and contents: {training['fingerprint']}."
    )


def _groups(card: ModelMetadata) -> str:
    training, test, deduplicated = card.training["groups"], card.metrics["test"], card.metrics["deduplicated_test"]
    counts = (
        f"{training['fitted']} groups to fit and {training['validated']} to validate; no group is parted between these. "
        f"{test['groups']} groups to test."
    )
    kept = (
        "A group holds the images of one patient where a manifest names patients, and the copies of these, exact or near, that "
        "the audit found."
        if card.training["audited"]
        else "A group of fitting and validation holds the images of one patient where a manifest names patients, and one image "
        "elsewhere; copies were not looked for when these were parted, and may stand on both sides."
    )
    if deduplicated is None:
        return f"{kept} {counts} Copies were not looked for among the test images."
    return (
        f"{kept} {counts} {test['images'] - deduplicated['images']} test images belong together with a training "
        f"image or are copies of another test image; {deduplicated['images']} remain without them."
    )


def _limits(card: ModelMetadata, audit: dict[str, Any] | None) -> list[str]:
    test = card.metrics["test"]
    limits = [
        "One data set, split by its publisher: nothing here measures how the model does at another hospital, on another "
        "scanner, or on other patients.",
        "The images are single slices exported as ordinary images: grey levels, size and annotation depend on who exported "
        "them, and a network can learn that in place of the anatomy.",
        "Age, sex, ethnicity and scanner are not known, so fairness between groups of people cannot be assessed.",
        "The out-of-distribution score was tested on images that are no scans; other organs, other sequences and rare findings "
        "were not tried.",
    ]
    limits.append(
        "The figures on validation are optimistic: the epoch that was kept, the temperature and the threshold, and where networks "
        "and learning rates were compared these, too, were chosen on the same images."
    )
    if HEALTHY in card.class_names:
        limits.append(f"It took {test['tumours_missed']} of {test['tumours']} tumours in the test images for none.")
    if card.metrics["deduplicated_test"] is None:
        limits.append("Copies of training images may be among the test images; they were not looked for.")
    if audit is not None:
        limits += _audited(audit)
    if card.training["data"] == PHANTOM:
        limits.insert(0, "Trained and tested on a phantom: no figure here says anything about scans of people.")
    return limits


def _audited(audit: dict[str, Any]) -> list[str]:
    """What the audit found that the figures cannot show."""
    blind = max(audit["shortcuts"], key=lambda each: each["balanced_accuracy"])
    low, high = blind["interval"]
    found = [
        f"A classifier that sees {blind['sees'].replace('all of these', 'border, size, format and brightness')} and nothing else "
        f"reaches a balanced accuracy of {share(blind['balanced_accuracy'])} ({share(low)} to {share(high)}; chance: "
        f"{share(blind['chance'])}): so much can be had on this data without looking at the anatomy."
    ]
    if wrong := len(audit["contradictory"]):
        found.append(f"{wrong} clusters of copies lie in folders of several classes: some labels are wrong.")
    return found


def _tripod(card: ModelMetadata, audit: dict[str, Any] | None) -> dict[str, str]:
    """The items of the TRIPOD+AI statement (Collins et al. 2024, BMJ 385:e078378), numbered and named as there."""
    training, metrics = card.training, card.metrics
    options, test = training["options"], metrics["test"]
    phantom = training["data"] == PHANTOM
    accuracy = share_with_interval(test["accuracy"], test["intervals"]["accuracy"])
    phases = "; ".join(
        f"{phase['name']}: up to {phase['epochs']} epochs from learning rate {phase['learning_rate']:g}"
        for phase in options["phases"]
    )
    none = "Not available: the data set says nothing of it."
    absent = "Not applicable: synthetic images." if phantom else none
    return {
        "1 Title": f"Classification of brain MRI images into {', '.join(card.class_names)}; development and internal test.",
        "2 Abstract": "The head of this card.",
        "3 Background": "Diagnostic classification of single slices; no clinical pathway is addressed. Health inequalities: not known.",
        "4 Objectives": "Development of a classifier, and its evaluation on the test images of the same data set.",
        "5 Data": _data(card),
        "6 Participants": absent,
        "7 Data preparation": (
            f"Decoded to RGB, resized to {card.width} x {card.height} pixels ({card.resampling}), as the gateway does it; "
            f"augmentation while fitting: {_changes(options['augmentation'])}."
        ),
        "8 Outcome": "The class folder an image lies in; who assessed it, and how, is not known."
        if not phantom
        else "The lesion that was drawn into the synthetic head.",
        "9 Predictors": "The pixels of one image, and nothing else.",
        "10 Sample size": "All images of the data set; no calculation was made.",
        "11 Missing data": "None: an image that cannot be read stops the training.",
        "12 Analytical methods": (
            f"{options['model']}, {'pretrained on ImageNet' if options['weights'] else 'from random weights'}, recipe "
            f"{options['recipe']} ({phases}), batch {options['batch_size']}, {options['optimizer']}, label smoothing "
            f"{options['label_smoothing']:g}, seed {options['seed']}; "
            f"{'the last epoch was kept' if options['patience'] is None else 'the epoch of least validation loss was kept'}. "
            "Intervals: percentile bootstrap over groups."
        ),
        "13 Class imbalance": "None of the classes was weighted or resampled; per-class figures are given.",
        "14 Fairness": "Not assessed: nothing is known of the people scanned." if not phantom else absent,
        "15 Model output": (
            f"Probabilities calibrated by one temperature ({card.temperature:g}, fitted on validation), and an energy score with a "
            "threshold that 99 % of the validation images stay below."
        ),
        "16 Training versus evaluation": _groups(card),
        "17 Ethical approval": absent,
        "18 Open science": "Code: the repository that this card comes with (MIT). Data: see 5; not redistributed. No protocol and no registration; funding and interests are not recorded.",
        "19 Patient and public involvement": "None.",
        "20 Participants (results)": absent,
        "21 Model development": (
            f"{training['images']['fitted']} images to fit and {training['images']['validated']} to validate; "
            f"{training['epochs']} epochs in {training['seconds']} s."
        ),
        "22 Model specification": f"The .keras file and the SavedModel: {training['parameters']} parameters.",
        "23 Model performance": (
            f"Accuracy {accuracy} on {test['images']} test images; all figures "
            "with intervals, raw and de-duplicated, are in this card."
        ),
        "24 Model updating": "None; a new version is a new card.",
        "25 Interpretation": "The figures hold for this data set's own test images and their faults.",
        "26 Limitations": " ".join(_limits(card, audit)),
        "27 Usability": f"Not for: {OUT_OF_SCOPE} An image that is flagged as out of distribution should not be classified at all.",
    }


def _changes(augmentation: dict[str, Any]) -> str:
    units = {"rotation": " degrees", "zoom": "", "shift": " of the side", "brightness": "", "contrast": ""}
    changes = ["mirrored left to right"] if augmentation["mirror"] else []
    changes += [f"{name} up to {augmentation[name]:g}{unit}" for name, unit in units.items() if augmentation[name]]
    return ", ".join(changes) or "none"
