"""Networks with layers that need care: normalisation with statistics, augmentation, code of their authors."""

from notebooks import images, plain
from notebooks.notebook import Notebook, described
from notebooks.weights import randomise, spread
from tensorflow import keras
from tensorflow.keras import applications, layers


def adapted_normalization(paths):
    """Normalization that has learnt the images' mean, before a convolution whose padding is zero."""
    pixels = images.by_load_img(paths)
    normalization = layers.Normalization()
    normalization.adapt(pixels)
    first = [normalization, layers.Conv2D(6, 3, padding="same", activation="relu")]
    return Notebook(randomise(plain.network(first=first), pixels), pixels, described(images.LOAD_IMG))


def spectral_normalization(paths):
    pixels = images.by_load_img(paths) / 255
    model = randomise(plain.network(first=[layers.SpectralNormalization(layers.Conv2D(6, 3))]), pixels)
    model(pixels, training=True)  # divides the kernel
    spread(model, pixels)
    return Notebook(model, pixels, described(images.LOAD_IMG_255))


def augmentation(paths):
    """Layers that do nothing when the network predicts."""
    pixels = images.by_load_img(paths)
    first = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.2),
        layers.RandomBrightness(0.2),
        layers.GaussianNoise(0.1),
        layers.Rescaling(1 / 255),
    ]
    return Notebook(randomise(plain.network(first=first), pixels), pixels, described(images.LOAD_IMG))


def preprocess_input_as_lambda(paths):
    pixels = images.by_load_img(paths)
    first = [layers.Lambda(applications.mobilenet_v2.preprocess_input)]
    return Notebook(randomise(plain.network(first=first), pixels), pixels, described(images.LOAD_IMG))


class Brighter(layers.Layer):
    def call(self, inputs):
        return inputs * 1.5


def own_layer(paths):
    pixels = images.by_load_img(paths) / 255
    return Notebook(randomise(plain.network(first=[Brighter()]), pixels), pixels, described(images.LOAD_IMG_255))


class OwnModel(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.convolution = layers.Conv2D(8, 3, activation="relu")
        self.pooling = layers.GlobalAveragePooling2D()
        self.dense = layers.Dense(4, activation="softmax")

    def call(self, inputs):
        return self.dense(self.pooling(self.convolution(inputs)))


def own_model(paths):
    pixels = images.by_load_img(paths) / 255
    model = OwnModel()
    model(pixels[:1])
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_IMG_255))


def int8(paths):
    pixels = images.by_load_img(paths) / 255
    model = randomise(plain.network(), pixels)
    model.quantize("int8")
    return Notebook(model, pixels, described(images.LOAD_IMG_255))
