"""The ways in which notebooks bring image files to the pixels that their networks take."""

from pathlib import Path

import numpy as np
from tensorflow import keras


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
