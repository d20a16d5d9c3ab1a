"""The warmup file holds requests that the published model can run."""

import tensorflow as tf

from brain_tumor.contract import DESCRIBE_SIGNATURE, IMAGES, PREDICT_SIGNATURE, QUERIES
from serving_api import tensors
from serving_api.messages import PredictionLog
from tests.converter.small_models import SIZE, publish


def test_the_published_model_runs_its_warmup(tmp_path):
    folder = publish(tmp_path / "models", name="other")
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    assert file.stat().st_size < 1000
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    predict, describe = (log.predict_log.request for log in logs)
    assert predict.model_spec.name == describe.model_spec.name == "other"
    assert (predict.model_spec.signature_name, describe.model_spec.signature_name) == (
        PREDICT_SIGNATURE,
        DESCRIBE_SIGNATURE,
    )
    assert tensors.to_array(describe.inputs[QUERIES]).tolist() == [b""]
    assert not predict.output_filter  # so that every output is computed
    images = tensors.to_array(predict.inputs[IMAGES])
    assert images.shape == (1, *SIZE, 3)
    # TensorFlow, too, repeats the one value.
    proto = tf.compat.v1.make_tensor_proto(0).FromString(predict.inputs[IMAGES].SerializeToString())
    assert (tf.make_ndarray(proto) == images).all()
    signatures = tf.saved_model.load(str(folder)).signatures
    assert len(signatures[PREDICT_SIGNATURE](images=tf.constant(images))) == 3
