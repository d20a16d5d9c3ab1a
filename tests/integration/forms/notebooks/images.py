"""The ways in which notebooks bring image files to the pixels that their networks take."""

from pathlib import Path

import numpy as np
from tensorflow import keras


def _way(words, scaling="none", **image):
    """What a description says about images that are prepared in a way."""
    fields = {"image": image} if image else {}
    return fields | ({} if scaling == "none" else {"scaling": scaling}) | {"documentation": {"images": words}}


LOAD_IMG = _way("`load_img`", resampling="nearest")
LOAD_IMG_255 = _way("`load_img`, `/ 255`", "unit", resampling="nearest")
LOAD_IMG_127 = _way("`load_img`, `/ 127.5 - 1`", "tf", resampling="nearest")
LOAD_IMG_XCEPTION = _way("`load_img`, `xception.preprocess_input`", "tf", resampling="nearest")
LOAD_GREY_255 = _way(
    '`load_img(color_mode="grayscale")`, `/ 255`', "unit", resampling="nearest", color_mode="grayscale"
)
LOAD_BILINEAR_255 = _way('`load_img(interpolation="bilinear")`, `/ 255`', "unit")
DATASET = _way("`image_dataset_from_directory`", resampling="bilinear-no-antialias")
DATASET_PADDED = _way(
    "`image_dataset_from_directory(pad_to_aspect_ratio=True)`",
    resampling="bilinear-no-antialias",
    pad_to_aspect_ratio=True,
)
_CV2 = {"resampling": "bilinear-no-antialias", "color_mode": "bgr"}
CV2_255 = _way("`cv2.imread`, `cv2.resize`, `/ 255`", "unit", **_CV2)
CV2_CROPPED_255 = _way(
    "`cv2.imread`, cropped to the head's contour, `cv2.resize`, `/ 255`", "unit", **_CV2, crop_to_head=True
)
BONE_255 = _way("`cv2.imread`, `cv2.resize`, `cv2.applyColorMap(..., COLORMAP_BONE)`, `/ 255`", "unit", **_CV2)


def by_load_img(paths, size=(64, 64), interpolation="nearest", **options):
    """As ``flow_from_directory`` and ``load_img`` do; nearest neighbour is their default. float32 0..255."""
    images = [
        keras.utils.img_to_array(keras.utils.load_img(path, target_size=size, interpolation=interpolation, **options))
        for path in paths
    ]
    return np.stack(images)


def by_image_dataset(paths, size=(64, 64), **options):
    """As ``image_dataset_from_directory`` does; bilinear without antialiasing is its default. float32 0..255."""
    dataset = keras.utils.image_dataset_from_directory(
        _folder(paths), image_size=size, batch_size=len(paths), shuffle=False, **options
    )
    images, _ = next(iter(dataset))
    return images.numpy()


def _folder(paths):
    """The folder of the class folders that the images lie in."""
    (folder,) = {Path(path).parent.parent for path in paths}
    return str(folder)


def as_served(paths, way):
    """What the service makes of the images by a description, float32 0..255."""
    return np.load(Path(paths[0]).parents[2] / "served" / f"{way}.npy")


def by_cv2(paths, size=(64, 64)):
    """As ``cv2.imread`` and ``cv2.resize`` do: blue first. uint8."""
    import cv2

    return np.stack([cv2.resize(cv2.imread(str(path)), size[::-1]) for path in paths])


def cropped_to_head(paths, size=(64, 64)):
    """Cropped to the head's outer contour before ``cv2.resize``, as the data set's author does. uint8, blue first."""
    import cv2

    return np.stack([cv2.resize(_head(cv2.imread(str(path))), size[::-1]) for path in paths])


def _head(image):
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (3, 3), 0)
    mask = cv2.threshold(grey, 45, 255, cv2.THRESH_BINARY)[1]
    mask = cv2.dilate(cv2.erode(mask, None, iterations=2), None, iterations=2)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(contours, key=cv2.contourArea)[:, 0]
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    return image[top:bottom, left:right]


def in_bone_colours(paths, size=(64, 64)):
    """Grey values as OpenCV's colour map "bone" shows them. uint8, blue first."""
    import cv2

    grey = [cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), size[::-1]) for path in paths]
    return np.stack([cv2.applyColorMap(image, cv2.COLORMAP_BONE) for image in grey])
