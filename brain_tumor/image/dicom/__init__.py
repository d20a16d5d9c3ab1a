"""DICOM files: one frame of one as 8-bit pixels, and what else a classification needs to know of it.

All but ``start`` run in the process apart alone: pydicom and the decoders believe what a file says of itself.
"""
