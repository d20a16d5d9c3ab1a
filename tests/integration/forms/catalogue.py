"""The forms in which people keep their models: a row of the table in docs/your-model.md each."""

from dataclasses import dataclass

TOLERANCE = 1e-4  # in probability


@dataclass(frozen=True)
class Limit:
    """Why the service's response differs from the notebook's prediction.

    Attributes:
        text: The reason.
        without: How the notebook comes to the same prediction in spite of it.
        tolerance: How far the response may differ, in probability.
    """

    text: str
    without: str
    tolerance: float


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        text: What the table calls it.
        notebook: The function in ``notebooks`` that builds and saves the model.
        suffix: The suffix of the file that is saved; none for a folder.
        keras: The Keras versions that write it in every run; none if the test itself writes it, in ``strangers``.
        renamed: The suffix under which the file is given to the converter, if it is another.
        refused: Whether the converter refuses it.
        limit: Why the service's response differs from the notebook's prediction; none if it does not.
    """

    text: str
    notebook: str
    suffix: str
    keras: tuple[str, ...] = ()
    renamed: str = ""
    refused: bool = False
    limit: Limit | None = None

    @property
    def name(self) -> str:
        """A file's name for the form, different for all forms."""
        return f"{self.notebook}{self.suffix.replace('.', '-')}{self.renamed.replace('.', '-as-')}"

    def written_by(self, version: str) -> bool:
        """Whether this Keras writes it: those that are named, and each that is between or after them."""
        same = [named for named in self.keras if _major(named) == _major(version)]
        return bool(same) and _number(version) >= min(map(_number, same))


def _major(version: str) -> str:
    return version.partition(".")[0]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


K2_OLD, K2, K3_FIRST, K3, K3_LAST = "2.12.0", "2.15.0", "3.0.5", "3.3.3", "3.10.0"
EACH = (K2, K3, K3_LAST)
PAIR = (K2, K3_LAST)  # where plain networks show what is between them
H5, KERAS, FOLDER = ".h5", ".keras", ""
_TENSORFLOW_RESIZES = Limit(
    "the service resizes with OpenCV, and TensorFlow's pixels are up to a grey level apart", "on the same pixels", 3e-2
)
_COLOURS = Limit("the description cannot say it; train such a network again, on grey images", "without the colours", 1)
_HALF_PRECISION = Limit("the notebook computes in half precision, the service does not", "in single precision", 1e-2)

FORMS = (
    Form(
        "the network this project started from: `Sequential` around Xception",
        "started_from",
        KERAS,
        (K2, K3_FIRST, K3, K3_LAST),
    ),
    Form("plain network", "cnn", KERAS, (K2_OLD, K2, K3_FIRST, K3, K3_LAST)),
    Form("plain network", "cnn", H5, EACH),
    Form("plain network", "by_cv2", H5, (K2,)),
    Form("plain network", "cropped", H5, (K2,)),
    Form("plain network", "dataset", KERAS, PAIR, limit=_TENSORFLOW_RESIZES),
    Form("plain network", "padded", KERAS, (K3_LAST,), limit=_TENSORFLOW_RESIZES),
    Form("plain network", "bone_colours", H5, (K2,), limit=_COLOURS),
    Form("the wrong suffix", "cnn", KERAS, PAIR, renamed=H5),
    Form("the wrong suffix", "cnn", H5, PAIR, renamed=KERAS),
    Form("separable and depthwise convolutions", "separable", KERAS, (K2_OLD, K3_LAST)),
    Form("separable and depthwise convolutions", "separable", H5, EACH),
    Form("`Sequential` around MobileNet", "transfer", KERAS, (K2_OLD, K2, K3_LAST)),
    Form("`preprocess_input` as a part of a functional model", "preprocess_input_inside", H5, (K2,)),
    Form("`preprocess_input` as a part of a functional model", "preprocess_input_inside", KERAS, (K3_LAST,)),
    Form("EfficientNetB0 as ImageNet's weights make it", "efficientnet", H5, (K2,)),
    Form("EfficientNetB0 as ImageNet's weights make it", "efficientnet", KERAS, (K3, K3_LAST)),
    Form("adapted Normalization before a padded convolution", "adapted_normalization", KERAS, EACH),
    Form("SpectralNormalization", "spectral_normalization", KERAS, (K3_LAST,)),
    Form("augmentation as layers", "augmentation", KERAS, (K2, K3_FIRST, K3, K3_LAST)),
    Form("fixed batch size", "fixed_batch", H5, EACH),
    Form("fixed batch size", "fixed_batch", KERAS, (K3, K3_LAST)),
    Form("logits", "logits", KERAS, EACH),
    Form("grey images", "grey", H5, PAIR),
    Form("one sigmoid for two classes", "one_sigmoid", H5, PAIR),
    Form("ensemble: the average of softmaxes", "average_of_softmaxes", KERAS, PAIR),
    Form("ensemble: the features of two backbones side by side", "concatenated_features", KERAS, PAIR),
    Form("two heads, one named in the description", "two_heads", KERAS, PAIR),
    Form("SavedModel of `model.export`", "exported", FOLDER, PAIR),
    Form("SavedModel of `tf.saved_model.save`", "saved_by_tensorflow", FOLDER, PAIR),
    Form("SavedModel of `model.save`", "keras_2_folder", FOLDER, (K2_OLD, K2)),
    Form("SavedModel of `model.save`, the author's own class", "own_model_folder", FOLDER, (K2,)),
    Form("SavedModel of TensorFlow 1, names chosen by its author", "of_tensorflow_1", FOLDER, (K2,)),
    Form("`mixed_float16`", "half_precision", KERAS, PAIR, limit=_HALF_PRECISION),
    Form("two heads, none named", "two_heads_unnamed", KERAS, (K3_LAST,), refused=True),
    Form("four sigmoids", "four_sigmoids", KERAS, (K3_LAST,), refused=True),
    Form("`Lambda(preprocess_input)`", "preprocess_input_as_lambda", H5, (K2,), refused=True),
    Form("`Lambda(preprocess_input)`", "preprocess_input_as_lambda", KERAS, (K3, K3_LAST), refused=True),
    Form("the author's own layer", "own_layer", H5, (K2,), refused=True),
    Form("the author's own layer", "own_layer", KERAS, (K3_LAST,), refused=True),
    Form("the author's own class of model", "own_model", KERAS, (K2, K3_LAST), refused=True),
    Form('`quantize("int8")`', "int8", KERAS, (K3_LAST,), refused=True),
    Form("weights without the network", "weights_only", H5, (K2,), refused=True),
    Form("weights without the network", "weights_only", ".weights.h5", (K3_LAST,), refused=True),
    Form("weights without the network: TensorFlow's checkpoint", "checkpoint", FOLDER, (K2,), refused=True),
    Form("TensorFlow Lite", "tflite", ".tflite", (K2,), refused=True),
    Form("frozen graph", "frozen_graph", ".pb", (K2,), refused=True),
    Form("PyTorch", "pytorch", ".pth", refused=True),
    Form("ONNX", "onnx", ".onnx", refused=True),
    Form("Git LFS pointer", "git_lfs_pointer", KERAS, refused=True),
    Form("a web page in place of the file", "web_page", H5, refused=True),
    Form("an empty file", "empty", H5, refused=True),
)
