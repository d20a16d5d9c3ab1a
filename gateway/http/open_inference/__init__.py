"""The Open Inference Protocol (V2) over HTTP, as clients of KServe and Triton speak it, with binary tensors.

https://github.com/kserve/open-inference-protocol; docs/open-inference.md says what each tensor holds.
"""
