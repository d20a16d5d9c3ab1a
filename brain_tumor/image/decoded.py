"""What a file holds besides its pixels, where people must know it to understand a prediction."""

from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Window:
    """How the values of a grey DICOM image became 8 bits; values are those after rescale or modality LUT.

    Attributes:
        source: ``file``: a window of the file; ``lut``: a table of it; ``percentiles``: the image's own values.
        center: Which value becomes middle grey; None for a table.
        width: How far black and white are apart; None for a table.
        function: LINEAR, LINEAR_EXACT or SIGMOID (PS3.3, C.11.2.1); None for a table.
    """

    source: str
    center: float | None
    width: float | None
    function: str | None


@dataclass(frozen=True)
class Dicom:
    """What is told of a DICOM file: nothing that could name anyone.

    Attributes:
        modality: One of DICOM's defined terms, such as MR; None if the file has none of them.
        frame: Which frame this is, from 1.
        frames: How many the file has.
        window: How grey became 8 bits; None for colour.
    """

    modality: str | None
    frame: int
    frames: int
    window: Window | None


@dataclass(frozen=True)
class FileFacts:
    """What is told of a file of any format.

    Attributes:
        dicom: What a DICOM file says; None for other formats.
        page: Which page of a TIFF this is, from 1.
        pages: How many pages a TIFF has; 1 for every other format.
        warnings: Sentences for people about what the file says of itself, mostly none.
    """

    dicom: Dicom | None = None
    page: int = 1
    pages: int = 1
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """An image as ``brain_tumor.image`` reads it.

    Attributes:
        image: Upright, RGB or one channel of grey.
        facts: What its file says of it.
    """

    image: Image.Image
    facts: FileFacts = field(default_factory=FileFacts)
