"""A client of the brain tumor classification service: for Python here, for the terminal as ``brain-tumor``."""

from brain_tumor_client.async_client import AsyncClient
from brain_tumor_client.client import Client
from brain_tumor_client.errors import (
    ClientError,
    ImageRefused,
    ImageUnusable,
    KeyRefused,
    NotTheService,
    Problem,
    RequestLost,
    ServiceBusy,
    ServiceFault,
    ServiceUnreachable,
)
from brain_tumor_client.images import ImageLike
from brain_tumor_client.prediction import Dicom, Explanation, Model, OutOfDistribution, Prediction, Window
from brain_tumor_client.retry import Retry

VERSION = "0.1.0"

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Dicom",
    "Explanation",
    "ImageLike",
    "ImageRefused",
    "ImageUnusable",
    "KeyRefused",
    "Model",
    "NotTheService",
    "OutOfDistribution",
    "Prediction",
    "Problem",
    "RequestLost",
    "Retry",
    "ServiceBusy",
    "ServiceFault",
    "ServiceUnreachable",
    "Window",
]
