"""What can be wrong with an image. Each message tells the sender what to do."""


class ImageError(ValueError):
    """An image that cannot be used. The message tells the sender what to do."""


class UnknownImageType(ImageError):
    """The bytes are not in a format that can be decoded; the message names what they are, where that is known."""


class BrokenImage(ImageError):
    """The bytes start like an image, but the image is truncated or corrupt."""


class ImageTooLarge(ImageError):
    """The image has more pixels than the limit."""


class UnusableImage(ImageError):
    """A valid image that shows nothing a model could classify."""


class NoSuchPage(UnusableImage):
    """The file has no page of this number, or the page costs too much to reach."""


def broken() -> BrokenImage:
    """The error for a file that is truncated or corrupt."""
    return BrokenImage("The image is damaged or incomplete. Export it again and send the whole file.")


def too_large(max_pixels: int) -> ImageTooLarge:
    """The error for a file of too many pixels."""
    return ImageTooLarge(f"The image has more than {max_pixels:,} pixels. Send a smaller one.")


def no_such_page(page: int, count: int) -> NoSuchPage:
    """The error for a page that a file of so many pages does not have."""
    pages = f"{count} pages" if count > 1 else "one page"
    return NoSuchPage(f"The image has {pages}: there is no page {page}.")


def unsupported(kind: str, advice: str = "Export the image as PNG, or as TIFF with 8 or 16 bits.") -> UnknownImageType:
    """The error for a sound file of a kind that cannot be decoded.

    Args:
        kind: What the file is, to follow "This is".
        advice: What the sender can do.
    """
    return UnknownImageType(f"This is {kind}, which cannot be read here. {advice}")
