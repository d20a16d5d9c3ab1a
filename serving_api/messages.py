"""The messages both tiers use, under their own names."""

from serving_api import message

TensorProto = message("tensorflow.TensorProto")
SavedModel = message("tensorflow.SavedModel")

ModelSpec = message("tensorflow.serving.ModelSpec")
PredictRequest = message("tensorflow.serving.PredictRequest")
PredictResponse = message("tensorflow.serving.PredictResponse")
GetModelMetadataRequest = message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = message("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap = message("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest = message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = message("tensorflow.serving.GetModelStatusResponse")
ModelVersionStatus = message("tensorflow.serving.ModelVersionStatus")
PredictionLog = message("tensorflow.serving.PredictionLog")
ModelServerConfig = message("tensorflow.serving.ModelServerConfig")
MonitoringConfig = message("tensorflow.serving.MonitoringConfig")
