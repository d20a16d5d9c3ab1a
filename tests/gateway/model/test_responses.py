import numpy as np
import pytest

from brain_tumor import contract
from tests.gateway.calls import check_problem, count_model_errors, predict
from tests.gateway.fake_model_server import FakeModel, classic_metadata, metadata


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '{"class_names": ["one"]}',
        '{"class_names": ["a", "b"]}',
        classic_metadata(temperature=10**400),
        "[" * 50_000,
    ],
)
def test_bad_metadata(client, model_server, text):
    model_server.model = FakeModel(metadata(), metadata_text=text)
    check_problem(predict(client), 502)
    assert count_model_errors(client) == {"BAD_METADATA": 1.0}
    check_problem(predict(client), 502)
    model_server.model = FakeModel(metadata())
    assert predict(client).status_code == 200


def change(name: str, make):
    def edit(outputs):
        return {**outputs, name: make(outputs[name])}

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        change(contract.PROBABILITIES, lambda array: array[:, :2]),
        change(contract.PROBABILITIES, lambda array: np.concatenate([array, array])),
        change(contract.PROBABILITIES, lambda array: array[0]),
        change(contract.PROBABILITIES, lambda array: array * np.nan),
        change(contract.PROBABILITIES, lambda array: array * 100),
        change(contract.PROBABILITIES, lambda array: -array),
        change(contract.PROBABILITIES, lambda array: array.astype(np.float64)),
        change(contract.PROBABILITIES, lambda array: np.full(array.shape, b"a", object)),
        change(contract.OUT_OF_DISTRIBUTION, lambda array: array + np.inf),
        change(contract.OUT_OF_DISTRIBUTION, lambda array: array[:, None]),
        change(contract.ACTIVATION_MAPS, lambda array: array[..., :2]),
        change(contract.ACTIVATION_MAPS, lambda array: array[:, :0]),
        change(contract.ACTIVATION_MAPS, lambda array: array * np.nan),
    ],
)
def test_response_that_cannot_be_used(client, model_server, edit):
    model_server.edit = edit
    check_problem(predict(client, "?explain=true"), 502)
    assert count_model_errors(client) == {"BAD_RESPONSE": 1.0}


def test_missing_output(client, model_server):
    model_server.edit = lambda outputs: {contract.PROBABILITIES: outputs[contract.PROBABILITIES]}
    check_problem(predict(client), 502)
