"""What the edge learns of the application's routes."""

from gateway.app import create_app
from gateway.edge.lanes import Lane
from gateway.http.routes import edge_routes, operations
from gateway.keys import METRICS, PREDICT
from gateway.model.client import ModelClient
from gateway.settings import Settings


def test_all_work_is_posted_and_needs_a_key():
    app = create_app(Settings(), ModelClient("127.0.0.1:1", "brain-tumor"))
    declared = list(operations(app))
    work = {(method, rule) for rule, method, operation in declared if operation.lane is Lane.WORK}
    assert work == {(method, rule) for rule, method, _ in declared if method == "POST"}
    assert {operation.scope for _, _, operation in declared if operation.lane is Lane.WORK} == {PREDICT}
    routes = edge_routes(app)
    assert routes.find("POST", "/v2/models/any/versions/7/infer") == (
        "/v2/models/<model>/versions/<version>/infer",
        Lane.WORK,
        PREDICT,
    )
    assert routes.find("GET", "/metrics").scope == METRICS
    assert routes.find("GET", "/livez").lane is Lane.AT_ONCE
    assert routes.find("GET", "/nothing").scope is None
