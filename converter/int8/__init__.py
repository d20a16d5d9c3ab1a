"""The int8 form of a model: OpenVINO's post-training quantization, judged before anything is published."""
