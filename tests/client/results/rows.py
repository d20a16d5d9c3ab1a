"""Rows for tests: with everything, with nothing, and with what a spreadsheet would run."""

from brain_tumor_client.results.row import Row

GOOD = Row(
    path="scans/volume.nii.gz",
    volume="scans/volume.nii.gz",
    plane="axial",
    slice=3,
    class_name="glioma",
    probabilities={"glioma": 0.75, "no tumour": 0.25},
    ood_score=-9.5,
    ood_flag=True,
    model_name="brain-tumor",
    model_version=2,
    warnings=("The file shows no head.", "The modality is CT."),
    request_id="abc",
    seconds=0.125,
)
FRAME = Row(path="many.dcm", frame=7, class_name="=cmd", probabilities={"=cmd": 1.0}, ood_score=0.5, seconds=1.0)
FAILED = Row(path="=HYPERLINK(1).png", error_status=415, error_detail='No "image",\nline two.', seconds=0.5)
LOST = Row(path="'+quoted.png", error_detail="-1 lost", seconds=0.0)
ROWS = [GOOD, FRAME, FAILED, LOST]
