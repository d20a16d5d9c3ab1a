"""The messages and enums that both tiers use, under their own names; messages.pyi holds their types."""

from serving_api import enum, message

Code = enum("tensorflow.error.Code")  # gRPC's status codes, by the same numbers
DataType = enum("tensorflow.DataType")
TensorProto = message("tensorflow.TensorProto")
TensorShapeProto = message("tensorflow.TensorShapeProto")

SavedModel = message("tensorflow.SavedModel")
MetaGraphDef = message("tensorflow.MetaGraphDef")
SignatureDef = message("tensorflow.SignatureDef")
TensorInfo = message("tensorflow.TensorInfo")
GraphDef = message("tensorflow.GraphDef")
NodeDef = message("tensorflow.NodeDef")
FunctionDef = message("tensorflow.FunctionDef")

ModelSpec = message("tensorflow.serving.ModelSpec")
PredictRequest = message("tensorflow.serving.PredictRequest")
PredictResponse = message("tensorflow.serving.PredictResponse")
GetModelMetadataRequest = message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = message("tensorflow.serving.GetModelMetadataResponse")
SignatureDefMap = message("tensorflow.serving.SignatureDefMap")
GetModelStatusRequest = message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = message("tensorflow.serving.GetModelStatusResponse")
ModelVersionStatus = message("tensorflow.serving.ModelVersionStatus")
StatusProto = message("tensorflow.serving.StatusProto")
ReloadConfigRequest = message("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse = message("tensorflow.serving.ReloadConfigResponse")
PredictionLog = message("tensorflow.serving.PredictionLog")

ModelServerConfig = message("tensorflow.serving.ModelServerConfig")
ModelConfig = message("tensorflow.serving.ModelConfig")
FileSystemStoragePathSourceConfig = message("tensorflow.serving.FileSystemStoragePathSourceConfig")
MonitoringConfig = message("tensorflow.serving.MonitoringConfig")
BatchingParameters = message("tensorflow.serving.BatchingParameters")
