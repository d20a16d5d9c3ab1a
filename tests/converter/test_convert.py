"""Every kind of model that can be converted gives the same outputs as in Keras."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from brain_tumor.contract import METADATA, QUERIES
from brain_tumor.metadata import ModelMetadata
from converter.convert import Job, convert
from tests.converter import compare
from tests.converter.small_models import CLASS_NAMES, SIZE, build_keras, classifier, publish, randomise, write

IMAGES = compare.synthetic_images(*SIZE)


def logits_of(model):
    """The model's logits, from its own last layer."""
    dense = model.layers[-1]
    dense.activation = keras.activations.linear
    return compare.by_keras(model, IMAGES)


@pytest.mark.parametrize("run", [compare.by_tensorflow, compare.by_openvino])
@pytest.mark.parametrize("smallest_variable", [None, 100])
def test_every_output_is_the_keras_models(tmp_path, run, smallest_variable):
    model = build_keras()
    source = write(tmp_path, model)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models", smallest_variable=smallest_variable)
    report = convert(job)
    outputs = run(job.target, IMAGES)
    assert report.folded == 2
    assert sorted(outputs) == ["activation_maps", "out_of_distribution", "probabilities"]
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)
    logits = logits_of(model)
    maps = outputs["activation_maps"]
    assert maps.shape == (len(IMAGES), 15, 19, len(CLASS_NAMES))
    np.testing.assert_allclose(maps.mean((1, 2)) + model.layers[-1].bias.numpy(), logits, atol=1e-4)
    np.testing.assert_allclose(outputs["out_of_distribution"], compare.energy(logits), atol=1e-4)


def test_the_models_predictions_are_clear():
    """Otherwise the comparisons would hold for any graph."""
    probabilities = compare.by_keras(build_keras(), IMAGES)
    assert len(set(probabilities.argmax(-1))) > 1
    assert probabilities.max() > 0.8


def test_the_temperature_flattens_the_probabilities_and_leaves_the_energy(tmp_path):
    model = build_keras()
    folder = publish(tmp_path / "models", model, temperature=2.5)
    outputs = compare.by_tensorflow(folder, IMAGES)
    logits = logits_of(model)
    np.testing.assert_allclose(outputs["probabilities"], compare.softmax(logits / 2.5), atol=compare.TOLERANCE)
    np.testing.assert_allclose(outputs["out_of_distribution"], compare.energy(logits), atol=1e-4)


def test_the_metadata_is_completed_and_stands_in_the_graph_and_beside_it(tmp_path):
    folder = publish(
        tmp_path / "models",
        name="other",
        image={"resampling": "nearest"},
        training={"data": "phantom"},
        metrics={"accuracy": 0.9},
        versions={"training": {"keras": "3"}},
        documentation={"intended_use": "research", "tripod_ai": {"1 Title": "a title"}},
        out_of_distribution={"threshold": -1.5},
    )
    text = (folder / "assets.extra" / "metadata.json").read_text()
    metadata = ModelMetadata.from_json(text)
    assert (metadata.name, metadata.image.height, metadata.image.width, metadata.explains) == ("other", *SIZE, True)
    assert (metadata.image.resampling, metadata.metrics["accuracy"], metadata.out_of_distribution_threshold) == (
        "nearest",
        0.9,
        -1.5,
    )
    assert "phantom" in metadata.notice
    assert metadata.versions["training"] == {"keras": "3"}
    assert metadata.documentation == {"intended_use": "research", "tripod_ai": {"1 Title": "a title"}}
    assert metadata.versions["converter"]["keras"] == keras.__version__
    described = tf.saved_model.load(str(folder)).signatures["describe"](**{QUERIES: tf.constant([""])})
    assert described[METADATA].numpy().item().decode() == text


def nested(dtype=None):
    """Transfer learning's form: the backbone is one layer, with a Sequential inside it."""
    inside = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 3, use_bias=False)(inside)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6)(x)
    block = keras.Sequential(
        [
            keras.Input((None, None, 6)),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
        ]
    )
    x = layers.Add()([x, block(x)])
    x = layers.Conv2D(8, 1)(x)
    base = keras.Model(inside, layers.BatchNormalization()(x), name="backbone")
    base.trainable = False
    pixels = keras.Input((*SIZE, 3))
    x = keras.applications.xception.preprocess_input(layers.RandomFlip()(pixels))
    return randomise(keras.Model(pixels, classifier(base(x, training=False), 4)))


def test_a_nested_backbone_is_folded_inside(tmp_path):
    model = nested()
    source = write(tmp_path, model)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models")
    report = convert(job)
    assert report.folded == 3
    assert report.metadata.explains
    outputs = compare.by_openvino(job.target, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)


@pytest.mark.parametrize("smallest_variable", [None, 100])
def test_layers_of_one_name_and_of_hidden_ones(tmp_path, smallest_variable):
    inside = keras.Input((None, None, 3))
    base = keras.Model(inside, layers.Conv2D(4, 3, activation="relu", name="conv")(inside))
    pixels = keras.Input((*SIZE, 3))
    x = base(layers.Rescaling(1 / 255, name="_scaling")(pixels))
    x = layers.Conv2D(5, 3, name="conv")(x)
    x = layers.BatchNormalization(name="_norm")(x)
    model = randomise(keras.Model(pixels, classifier(x, 4)))
    source = write(tmp_path, model)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models", smallest_variable=smallest_variable)
    assert convert(job).folded == 1
    outputs = compare.by_tensorflow(job.target, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)


def test_a_sequential_model(tmp_path):
    model = randomise(
        keras.Sequential(
            [
                keras.Input((*SIZE, 3)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(8, 3, padding="same"),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4),
                layers.Softmax(),
            ]
        )
    )
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_tensorflow(folder, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)
    assert "activation_maps" in outputs


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_another_precision_is_converted_in_float32(tmp_path, policy):
    reference = nested()
    keras.config.set_dtype_policy(policy)
    try:
        model = nested()
    finally:
        keras.config.set_dtype_policy("float32")
    weights = [np.asarray(weight, np.float32) for weight in model.get_weights()]
    reference.set_weights(weights)
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_tensorflow(folder, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(reference, IMAGES), atol=compare.TOLERANCE)


def classic(padding="valid"):
    """A model as others train it: float32, pixels that the caller scales."""
    pixels = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 3, padding=padding, activation="relu")(pixels)
    return randomise(keras.Model(pixels, classifier(x, 4)))


@pytest.mark.parametrize(
    "scaling, padding",
    [("none", "valid"), ("unit", "valid"), ("tf", "same"), ("torch", "valid"), ("caffe", "same")],
)
def test_the_classic_form_takes_pixels_with_the_scaling_inside(tmp_path, scaling, padding):
    model = classic(padding)
    pixels = IMAGES.astype(np.float32)
    scaled = {
        "none": lambda: pixels,
        "unit": lambda: pixels / 255,
        "tf": lambda: keras.applications.xception.preprocess_input(pixels),
        "torch": lambda: keras.applications.densenet.preprocess_input(pixels),
        "caffe": lambda: keras.applications.resnet50.preprocess_input(pixels),
    }[scaling]()
    source = write(tmp_path, model, scaling=scaling)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models")
    report = convert(job)
    assert report.metadata.scaling == scaling
    outputs = compare.by_openvino(job.target, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, scaled), atol=compare.TOLERANCE)


@pytest.mark.parametrize("preprocess", ["xception", "densenet", "resnet50"])
def test_preprocessing_written_as_operations_is_kept(tmp_path, preprocess):
    pixels = keras.Input((*SIZE, 3))
    x = getattr(keras.applications, preprocess).preprocess_input(pixels)
    model = randomise(keras.Model(pixels, classifier(layers.Conv2D(8, 3)(x), 4)))
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_tensorflow(folder, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)


def test_a_normalization_layer_before_a_padded_convolution_is_kept(tmp_path):
    pixels = keras.Input((*SIZE, 3))
    x = layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3000.0, 2000.0, 1000.0])(pixels)
    model = randomise(keras.Model(pixels, classifier(layers.Conv2D(8, 3, padding="same")(x), 4)))
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_openvino(folder, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)


def with_head(head):
    pixels = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    return randomise(keras.Model(pixels, head(x)))


def hidden(x):
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(4, activation="softmax")(layers.Dense(8, activation="relu")(x))


def flattened(x):
    return layers.Dense(4, activation="softmax")(layers.Flatten()(layers.MaxPooling2D(4)(x)))


def max_pooled(x):
    return layers.Dense(4, activation="softmax")(layers.GlobalMaxPooling2D()(x))


@pytest.mark.parametrize("head", [hidden, flattened, max_pooled])
def test_another_head_gives_no_maps(tmp_path, head):
    model = with_head(head)
    folder = publish(tmp_path / "models", model)
    assert json.loads((folder / "assets.extra" / "metadata.json").read_text())["explains"] is False
    outputs = compare.by_openvino(folder, IMAGES)
    assert sorted(outputs) == ["out_of_distribution", "probabilities"]
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)
    np.testing.assert_allclose(outputs["out_of_distribution"], compare.energy(logits_of(model)), atol=1e-4)


def linear(x):
    return layers.Dense(4)(layers.GlobalAveragePooling2D()(x))


def linear_without_bias(x):
    return layers.Activation("linear", dtype="float32")(
        layers.Dense(4, use_bias=False)(layers.GlobalAveragePooling2D()(x))
    )


def separate_softmax(x):
    return layers.Activation("softmax", dtype="float32")(layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("head", [linear, linear_without_bias, separate_softmax])
def test_logits_and_a_separate_softmax_are_heads_with_maps(tmp_path, head):
    model = with_head(head)
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_tensorflow(folder, IMAGES)
    expected = compare.by_keras(model, IMAGES)
    if head is not separate_softmax:
        expected = compare.softmax(expected)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=compare.TOLERANCE)
    assert outputs["activation_maps"].shape[-1] == 4


def single_sigmoid(x):
    return layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))


def separate_sigmoid(x):
    return layers.Activation("sigmoid")(layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))


def single_logit(x):
    return layers.Dense(1)(layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("head", [single_sigmoid, separate_sigmoid, single_logit])
def test_one_output_stands_for_two_classes(tmp_path, head):
    model = with_head(head)
    source = write(tmp_path, model, class_names=["no", "yes"])
    job = Job(source, source.with_suffix(".json"), tmp_path / "models")
    assert convert(job).metadata.explains
    outputs = compare.by_openvino(job.target, IMAGES)
    own = compare.by_keras(model, IMAGES)
    second = 1 / (1 + np.exp(-own)) if head is single_logit else own
    np.testing.assert_allclose(
        outputs["probabilities"], np.concatenate([1 - second, second], -1), atol=compare.TOLERANCE
    )
    assert outputs["activation_maps"].shape[-1] == 2
    # The logit x of one output becomes -x/2 and x/2, so neither class alone has a low energy.
    logit = np.log(second / (1 - second))[:, 0]
    np.testing.assert_allclose(outputs["out_of_distribution"], -np.log(2 * np.cosh(logit / 2)), atol=1e-4)


def averaged(x):
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Average()([layers.Dense(4, activation="softmax")(x), layers.Dense(4, activation="softmax")(x)])


def averaged_sigmoids(x):
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Average()([layers.Dense(1, activation="sigmoid")(x), layers.Dense(1, activation="sigmoid")(x)])


@pytest.mark.parametrize("head, class_names", [(averaged, CLASS_NAMES), (averaged_sigmoids, ("no", "yes"))])
def test_an_ensemble_has_probabilities_and_no_logits(tmp_path, head, class_names):
    model = with_head(head)
    folder = publish(tmp_path / "models", model, class_names=class_names)
    outputs = compare.by_tensorflow(folder, IMAGES)
    expected = compare.by_keras(model, IMAGES)
    if len(class_names) == 2:
        expected = np.concatenate([1 - expected, expected], -1)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=compare.TOLERANCE)
    np.testing.assert_allclose(outputs["out_of_distribution"], -np.log(expected.max(-1)), atol=1e-4)
    metadata = json.loads((folder / "assets.extra" / "metadata.json").read_text())
    assert metadata["out_of_distribution"]["score"] == "max-probability"


def test_a_network_for_grey_levels_takes_rgb(tmp_path):
    pixels = keras.Input((*SIZE, 1))
    x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    model = randomise(keras.Model(pixels, classifier(x, 4)))
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_openvino(folder, IMAGES)
    grey = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in IMAGES])[..., None]
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, grey), atol=compare.TOLERANCE)


def test_a_fixed_batch_size_is_dropped(tmp_path):
    pixels = keras.Input(batch_shape=(5, *SIZE, 3))
    x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    model = randomise(keras.Model(pixels, classifier(x, 4)))
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_openvino(folder, IMAGES)
    np.testing.assert_allclose(
        outputs["probabilities"][:5], compare.by_keras(model, IMAGES[:5]), atol=compare.TOLERANCE
    )


def test_a_layer_may_own_weights_that_it_does_not_use(tmp_path):
    """An adapted Normalization keeps a count; EfficientNet with ImageNet's weights has one."""
    pixels = keras.Input((*SIZE, 3))
    normalization = layers.Normalization()
    normalization.adapt(IMAGES.astype(np.float32))
    x = layers.Conv2D(8, 3, padding="same")(normalization(pixels))
    model = randomise(keras.Model(pixels, classifier(x, 4)))
    folder = publish(tmp_path / "models", model)
    outputs = compare.by_openvino(folder, IMAGES)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, IMAGES), atol=compare.TOLERANCE)


def test_a_model_for_any_size_takes_the_metadata(tmp_path):
    pixels = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3)(layers.Rescaling(1 / 255)(pixels))
    model = randomise(keras.Model(pixels, classifier(x, 4)))
    folder = publish(tmp_path / "models", model, image={"height": 24, "width": 20})
    images = compare.synthetic_images(24, 20)
    outputs = compare.by_openvino(folder, images)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, images), atol=compare.TOLERANCE)


def test_supplied_images_are_compared_too(tmp_path):
    folder = tmp_path / "images" / "glioma"
    folder.mkdir(parents=True)
    for number, image in enumerate(compare.synthetic_images(60, 50, count=3)):
        Image.fromarray(image).save(folder / f"{number}.png")
    source = write(tmp_path)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models", verify_with=tmp_path / "images")
    assert convert(job).images == 16 + 3
