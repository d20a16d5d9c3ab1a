"""The networks of keras.applications, recognised by a layer's name, and the scaling that each expects."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """A family of keras.applications.

    Attributes:
        name: The family's name.
        module: Its module, which a serialised ``preprocess_input`` names.
        layer: A layer that every network of the family has, and no family further down.
        scaling: What its ``preprocess_input`` does; "none" where the network scales inside.
    """

    name: str
    module: str
    layer: str
    scaling: str


# Source: each family's preprocess_input and layer names in keras/src/applications, Keras 3.15.
BACKBONES = (
    Backbone("Xception", "xception", "block14_sepconv2", "tf"),
    Backbone("InceptionV3", "inception_v3", "mixed10", "tf"),
    Backbone("InceptionResNetV2", "inception_resnet_v2", "conv_7b", "tf"),
    Backbone("DenseNet", "densenet", "conv5_block16_concat", "torch"),
    Backbone("ResNetV2", "resnet_v2", "conv5_block1_preact_bn", "tf"),
    Backbone("ResNet", "resnet", "conv5_block1_0_bn", "caffe"),
    Backbone("VGG", "vgg16", "block5_conv3", "caffe"),
    Backbone("VGG", "vgg19", "block5_conv4", "caffe"),
    Backbone("MobileNetV2", "mobilenet_v2", "block_16_project", "tf"),
    Backbone("MobileNetV3", "mobilenet_v3", "expanded_conv_project", "none"),
    Backbone("MobileNet", "mobilenet", "conv_pw_13", "tf"),
    Backbone("NASNet", "nasnet", "stem_conv1", "tf"),
    Backbone("EfficientNet", "efficientnet", "block7a_project_conv", "none"),
    Backbone("EfficientNetV2", "efficientnet_v2", "block6a_se_expand", "none"),
)


def backbone(layer_names: Iterable[str]) -> Backbone | None:
    """The family that a network is of, by the names of its layers, those of nested models included."""
    names = frozenset(layer_names)
    return next((family for family in BACKBONES if family.layer in names), None)


def of_module(module: str) -> Backbone | None:
    """The family that a module's ``preprocess_input`` belongs to."""
    last = module.rsplit(".", 1)[-1]
    return next((family for family in BACKBONES if family.module == last), None)
