"""What the edge learns of the application's routes."""

from gateway.app import create_app
from gateway.edge.lanes import Lane
from gateway.http.routes import described_operations, edge_routes, operations
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
        False,
    )
    assert routes.find("GET", "/metrics") == ("/metrics", Lane.METRICS, METRICS, False)
    assert routes.find("GET", "/livez").lane is Lane.AT_ONCE
    assert routes.find("GET", "/nothing").scope is None


def test_probes_and_metrics_have_the_admin_port_to_themselves_where_there_is_one():
    app = create_app(Settings(admin_bind="127.0.0.1:1"), ModelClient("127.0.0.1:1", "brain-tumor"))
    admin = {rule for rule, _, operation in operations(app) if operation.admin_only}
    assert admin == {"/livez", "/readyz", "/metrics"}
    assert admin.isdisjoint(rule for rule, _, _ in described_operations(app))
    routes = edge_routes(app)
    assert routes.find("DELETE", "/livez").admin_only
    assert not routes.find("GET", "/").admin_only


def test_what_is_called_all_the_time_is_quiet_in_the_log():
    app = create_app(Settings(), ModelClient("127.0.0.1:1", "brain-tumor"))
    quiet = {rule for rule, _, operation in operations(app) if operation.is_quiet}
    probes = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}
    assert quiet == {*probes, "/metrics", "/static/<path:path>"}
