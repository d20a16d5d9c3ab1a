"""What a DICOM file shows, in words that name nobody: its modality, what speaks against a scan, what has no pixels."""

import re
from collections.abc import Iterator

from brain_tumor.image.dicom.contents import PIXELS, Contents, items, text, values
from brain_tumor.image.errors import UnknownImageType, unsupported

# PS3.3, C.7.3.1.1.1, with the retired ones. Any other text in this element is not repeated: it could be a name.
_TERMS = """
AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO
LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE
RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF
"""
MODALITIES = frozenset(_TERMS.split())
# Of BodyPartExamined and AnatomicRegionSequence (PS3.16, annex L), and as people write it.
_HEAD = re.compile(
    r"HEAD|BRAIN|SKULL|CRANI|CEREB|NEURO|ENCEPH|PITUIT|SELLA|INTRACRAN|KOPF|HIRN|TETE|T\u00caTE|CABEZA|CABECA"
)
_NO_PIXELS = (  # the beginning of a SOP class UID (PS3.4, B.5), what it is, what to do
    ("1.2.840.10008.1.3.10", "a directory of DICOM files (DICOMDIR)", "Send the image files that it lists."),
    ("1.2.840.10008.5.1.4.1.1.88.", "a DICOM report (SR)", "Send the image that it is about."),
    ("1.2.840.10008.5.1.4.1.1.104.", "a document or model in a DICOM file", "Send the image files of the study."),
    ("1.2.840.10008.5.1.4.1.1.481.", "a DICOM file of a radiotherapy plan", "Send the images that it was made for."),
    ("1.2.840.10008.5.1.4.1.1.9.", "a DICOM file of waveforms", "Send the image files of the study."),
    ("1.2.840.10008.5.1.4.1.1.11.", "a DICOM presentation state", "Send the image that it is for."),
    ("1.2.840.10008.5.1.4.1.1.66", "a DICOM file of raw data or registrations", "Send the images made of it."),
    ("1.2.840.10008.5.1.4.1.1.4.2", "a DICOM file of MR spectra", "Send an image of the study."),
)


def modality(contents: Contents) -> str | None:
    """The file's modality if it is one of DICOM's defined terms."""
    name = text(contents.data_set, "Modality")
    return name if name in MODALITIES else None


def warnings(contents: Contents) -> Iterator[str]:
    """Sentences about what speaks against an MR scan of a head; the file's own texts are in none of them."""
    name = modality(contents)
    if name is None:
        yield "The DICOM file does not say that its modality is MR: the model knows MR scans alone."
    elif name != "MR":
        yield f"The DICOM file says that its modality is {name}, not MR: the model knows MR scans alone."
    regions = [text(contents.data_set, "BodyPartExamined")]
    for holder in (contents.data_set, contents.group("FrameAnatomySequence")):
        for item in items(holder, "AnatomicRegionSequence") if holder is not None else ():
            regions.append(text(item, "CodeMeaning"))
    regions = [region for region in regions if region]
    if regions and not any(map(_HEAD.search, regions)):
        yield "The DICOM file says that it shows another part of the body than the head: the prediction means little."
    if "LOCALIZER" in map(str, values(contents.data_set, "ImageType")):
        yield "The DICOM file says that it is a localizer, made to plan others. Send a slice of a full series."


def no_pixels(contents: Contents) -> UnknownImageType | None:
    """The error for a DICOM file that holds something else than an image; None if it should hold one."""
    elements = contents.structure.elements
    if any(tag in elements for tag in PIXELS):
        return None
    sop_class = text(contents.data_set, "SOPClassUID") or _media_class(contents)
    for beginning, name, advice in _NO_PIXELS:
        if sop_class.startswith(beginning):
            return unsupported(name, advice)
    if "Rows" in contents.data_set:
        return None
    return unsupported("a DICOM file without an image", "Send an image file of the study.")


def _media_class(contents: Contents) -> str:
    element = contents.structure.elements.get(0x0002_0002)
    return (
        contents.structure.data[element.start : element.end].decode("ascii", "replace").strip("\0 ") if element else ""
    )
