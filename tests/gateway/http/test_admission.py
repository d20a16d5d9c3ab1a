import threading
from concurrent.futures import ThreadPoolExecutor

from brain_tumor import contract
from tests.gateway.calls import check_problem, predict
from tests.gateway.fake_model_server import hold_until, wait_for


def test_overload_is_refused_at_once_and_passes(make_client, model_server):
    client = make_client(max_in_flight=2)
    release = threading.Event()
    model_server.fault = hold_until(release, contract.PREDICT_SIGNATURE)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(predict, client.application.test_client()) for _ in range(2)]
        try:
            wait_for(lambda: model_server.count(contract.PREDICT_SIGNATURE) == 2)
            response = predict(client)
            check_problem(response, 503)
            assert int(response.headers["Retry-After"]) > 0
            assert client.get("/livez").status_code == 200
            assert "gateway_in_flight 2.0" in client.get("/metrics").get_data(as_text=True)
        finally:
            release.set()
        assert [future.result(20).status_code for future in held] == [200, 200]
    assert predict(client).status_code == 200
    assert "gateway_in_flight 0.0" in client.get("/metrics").get_data(as_text=True)
