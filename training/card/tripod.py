"""The items of the TRIPOD+AI statement (Collins et al. 2024, BMJ 385:e078378) for one run."""

from typing import Any

from brain_tumor.metadata import BGR, GRAYSCALE, PHANTOM, RGB, ImageSpec, ModelMetadata
from training.report import share_with_interval


def tripod_items(
    metadata: ModelMetadata, data: str, groups: str, limits: list[str], out_of_scope: str
) -> dict[str, str]:
    """The statement's items, numbered and named as there.

    Args:
        metadata: The metadata of a run that was evaluated.
        data: The card's statement about the data.
        groups: The card's statement about groups.
        limits: The card's limits.
        out_of_scope: What the model is not for.
    """
    training, test = metadata.training, metadata.metrics["test"]
    is_phantom = training["data"] == PHANTOM
    accuracy = share_with_interval(test["accuracy"], test["intervals"]["accuracy"])
    people = "Not applicable: synthetic images." if is_phantom else "Not available: the data set says nothing about it."
    return {
        "1 Title": (
            f"Classification of brain MRI images into {', '.join(metadata.class_names)}; development and internal test."
        ),
        "2 Abstract": "The beginning of this card.",
        "3 Background": (
            "Diagnostic classification of single slices; no clinical pathway is addressed. Health inequalities: not "
            "known."
        ),
        "4 Objectives": "Development of a classifier, and its evaluation on the test images of the same data set.",
        "5 Data": data,
        "6 Participants": people,
        "7 Data preparation": (
            f"{_preparation(metadata.image)}, as in the gateway; "
            f"augmentation while fitting: {_augmentation(training['options']['augmentation'])}."
        ),
        "8 Outcome": "The lesion that was drawn into the synthetic head."
        if is_phantom
        else "The class folder of an image; who assessed it, and how, is not known.",
        "9 Predictors": "The pixels of one image, and nothing else.",
        "10 Sample size": "All images of the data set; no calculation was made.",
        "11 Missing data": "None: an image that cannot be read stops the training.",
        "12 Analytical methods": _methods(training["options"]),
        "13 Class imbalance": "No class was weighted or resampled; per-class metrics are given.",
        "14 Fairness": people if is_phantom else "Not assessed: nothing is known about the people scanned.",
        "15 Model output": (
            f"Probabilities calibrated by one temperature ({metadata.temperature:g}, fitted on validation), and an "
            "energy score with a threshold that 99 % of the validation images do not exceed."
        ),
        "16 Training versus evaluation": groups,
        "17 Ethical approval": people,
        "18 Open science": (
            "Code: the repository of this card (MIT). Data: see item 5; not redistributed. No protocol and no "
            "registration; funding and interests are not recorded."
        ),
        "19 Patient and public involvement": "None.",
        "20 Participants (results)": people,
        "21 Model development": (
            f"{training['images']['fitted']} images to fit and {training['images']['validated']} to validate; "
            f"{training['epochs']} epochs in {training['seconds']} s."
        ),
        "22 Model specification": f"The .keras file and the SavedModel: {training['parameters']} parameters.",
        "23 Model performance": (
            f"Accuracy {accuracy} on {test['images']} test images; this card has all metrics with intervals, raw and "
            "de-duplicated."
        ),
        "24 Model updating": "None; a new version gets a new card.",
        "25 Interpretation": "The metrics are valid for the test images of this data set, with all their faults.",
        "26 Limitations": " ".join(limits),
        "27 Usability": (
            f"Not for: {out_of_scope} An image that is flagged as out of distribution should not be classified at all."
        ),
    }


def _preparation(image: ImageSpec) -> str:
    colours = {RGB: "RGB", GRAYSCALE: "grey", BGR: "BGR"}[image.color_mode]
    steps = [
        f"Decoded to {colours}",
        *(["cropped to the head's contour"] if image.crop_to_head else []),
        f"resized to {image.width} x {image.height} pixels ({image.resampling})",
        *(["padded with black where the aspect ratio is another"] if image.pad_to_aspect_ratio else []),
    ]
    return f"{', '.join(steps[:-1])} and {steps[-1]}"


def _methods(options: dict[str, Any]) -> str:
    weights = "pretrained on ImageNet" if options["weights"] else "from random weights"
    phases = "; ".join(
        f"{phase['name']}: up to {phase['epochs']} epochs from learning rate {phase['learning_rate']:g}"
        for phase in options["phases"]
    )
    kept = "the last epoch" if options["patience"] is None else "the epoch of least validation loss"
    return (
        f"{options['model']}, {weights}, recipe {options['recipe']} ({phases}), batch {options['batch_size']}, "
        f"{options['optimizer']}, label smoothing {options['label_smoothing']:g}, seed {options['seed']}; {kept} was "
        "kept. Intervals: percentile bootstrap over groups."
    )


def _augmentation(augmentation: dict[str, Any]) -> str:
    units = {"rotation": " degrees", "zoom": "", "shift": " of the side", "brightness": "", "contrast": ""}
    changes = ["mirrored left to right"] if augmentation["mirror"] else []
    changes += [f"{name} up to {augmentation[name]:g}{unit}" for name, unit in units.items() if augmentation[name]]
    return ", ".join(changes) or "none"
