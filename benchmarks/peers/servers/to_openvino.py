"""Read a SavedModel and save it in OpenVINO's own form, float32: to_openvino.py SAVED_MODEL NETWORK.xml."""

import sys

import openvino

openvino.save_model(openvino.Core().read_model(sys.argv[1]), sys.argv[2], compress_to_fp16=False)
