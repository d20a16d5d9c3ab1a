"""Write Grafana's dashboard of both tiers, made with Grafana's own foundation SDK.

``python -m scripts.dashboard > kube-config/components/dashboard/brain-tumor.json``
"""

from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_ALL = "$__all"
_HERE = 'namespace=~"$namespace"'  # Grafana puts in what the reader chooses
_PREDICTIONS = f'{_HERE}, route=~"/predict|.+/infer"'
_FAILED = f'{_PREDICTIONS}, status=~"5.."'
_OURS = f"and on (namespace, instance) gateway_build_info{{{_HERE}}}"
_MODEL, _MADE_BY = "model_version, precision", "{{model_version}} {{precision}}"  # labels, and their legend
_WIDTH, _HEIGHT = 8, 7  # of 24 columns; in rows
_LARGE, _SMALL = 0.25, 0.1  # usual bounds of the population stability index: gateway/metrics/drift.py


class _Graph(NamedTuple):
    """A panel.

    Attributes:
        title: What it shows.
        unit: Grafana's name of the unit.
        queries: The legend of each query, and the query.
        bounds: Where lines are drawn.
    """

    title: str
    unit: str
    queries: dict[str, str]
    bounds: tuple[float, ...] = ()


def _rate(metric: str, by: str = "", where: str = _HERE) -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{where}}}[$__rate_interval]))"


def _quantiles(metric: str, where: str = _HERE, by: str = "", *shares: float) -> dict[str, str]:
    labels = f"le, {by}" if by else "le"
    return {
        f"{share:.0%} below" + (f", {{{{{by}}}}}" if by else ""): (
            f"histogram_quantile({share:g}, {_rate(f'{metric}_bucket', labels, where)})"
        )
        for share in shares
    }


def _sum(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} ({metric}{{{_HERE}}})"


_ROWS: dict[str, list[_Graph]] = {
    "Service": [
        _Graph(
            "Requests for predictions, by status",
            "reqps",
            {"{{status}}": _rate("gateway_requests_total", "status", _PREDICTIONS)},
        ),
        _Graph(
            "Share of them that fails (5xx)",
            "percentunit",
            {
                "failed": f"({_rate('gateway_requests_total', '', _FAILED)} or vector(0))"
                f" / {_rate('gateway_requests_total', '', _PREDICTIONS)}"
            },
        ),
        _Graph("Time to the response", "s", _quantiles("gateway_request_seconds", _PREDICTIONS, "", 0.5, 0.95, 0.99)),
        _Graph("Time of the stages", "s", _quantiles("gateway_stage_seconds", _HERE, "stage", 0.95)),
        _Graph("Wait for a slot", "s", _quantiles("gateway_wait_seconds", _HERE, "slot", 0.95)),
        _Graph(
            "Requests and connections",
            "short",
            {
                "at work": _sum("gateway_in_flight"),
                "waiting": _sum("gateway_waiting"),
                "connections": _sum("gateway_connections"),
            },
        ),
        _Graph("No prediction, by reason", "reqps", {"{{reason}}": _rate("gateway_refusals_total", "reason")}),
        _Graph("Images fetched by URL", "reqps", {"{{outcome}}": _rate("gateway_fetches_total", "outcome")}),
        _Graph(
            "Gateways, by version",
            "short",
            {"{{version}} {{revision}}": f"count by (version, revision) (gateway_build_info{{{_HERE}}})"},
        ),
    ],
    "Predictions": [
        _Graph("Predictions, by class", "reqps", {"{{class}}": _rate("gateway_predictions_total", "class")}),
        _Graph(
            "Predictions, by model version and precision",
            "reqps",
            {_MADE_BY: _rate("gateway_predictions_total", _MODEL)},
        ),
        _Graph(
            "Share flagged as out-of-distribution",
            "percentunit",
            {
                _MADE_BY: f"{_rate('gateway_out_of_distribution_total', _MODEL)}"
                f" / {_rate('gateway_predictions_total', _MODEL)}"
            },
        ),
        _Graph("Confidence", "percentunit", _quantiles("gateway_confidence", _HERE, "model_version", 0.1, 0.5)),
        _Graph(
            "Out-of-distribution score", "short", _quantiles("gateway_ood_score", _HERE, "model_version", 0.5, 0.95)
        ),
        _Graph(
            "Drift: population stability index, the largest of all gateways",
            "short",
            {
                "{{feature}} {{window}} {{model_version}}": "max by (model_version, precision, feature, window) "
                f"(gateway_population_stability_index{{{_HERE}}})"
            },
            (_SMALL, _LARGE),
        ),
        _Graph("Brightness", "short", _quantiles("gateway_brightness", _HERE, "model_version", 0.1, 0.5, 0.9)),
        _Graph(
            "Longer side of the images, pixels",
            "short",
            _quantiles("gateway_image_size_pixels", _HERE, "model_version", 0.1, 0.5, 0.9),
        ),
    ],
    "Model server": [
        _Graph(
            "Calls, by status",
            "reqps",
            {"{{model_name}} {{status}}": _rate(":tensorflow:serving:request_count", "model_name, status")},
        ),
        _Graph("Time of a call", "µs", _quantiles(":tensorflow:serving:request_latency", _HERE, "API", 0.5, 0.95)),
        _Graph(
            "Time of the computation",
            "µs",
            _quantiles(":tensorflow:serving:runtime_latency", _HERE, "runtime", 0.5, 0.95),
        ),
        _Graph("Calls as the gateways see them", "reqps", {"{{result}}": _rate("gateway_model_calls_total", "result")}),
        _Graph("Replicas left out for a while", "reqps", {"ejections": _rate("gateway_model_ejections_total")}),
        _Graph(
            "Requests that failed by the model server",
            "reqps",
            {"{{code}}": _rate("gateway_model_errors_total", "code")},
        ),
    ],
    "Canary": [
        _Graph(
            "Requests for the canary, by how they ended",
            "reqps",
            {"{{outcome}}": _rate("gateway_canary_requests_total", "outcome")},
        ),
        _Graph(
            "Requests for comparison, by how they ended",
            "reqps",
            {"{{outcome}}": _rate("gateway_shadow_requests_total", "outcome")},
        ),
        _Graph(
            "Share of images in which both models say one class",
            "percentunit",
            {"one class": f"{_rate('gateway_shadow_agreements_total')} / {_rate('gateway_shadow_images_total')}"},
        ),
        _Graph(
            "Distance between the class probabilities",
            "short",
            _quantiles("gateway_shadow_distance", _HERE, "", 0.5, 0.95),
        ),
        _Graph("Time of a call", "s", _quantiles("gateway_model_seconds", _HERE, "label", 0.5, 0.95)),
    ],
    "Gateways' processes": [
        _Graph(
            "CPU", "short", {"{{instance}}": f"rate(process_cpu_seconds_total{{{_HERE}}}[$__rate_interval]) {_OURS}"}
        ),
        _Graph("Memory", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{_HERE}}} {_OURS}"}),
    ],
}


def build() -> str:
    """The dashboard as Grafana reads it: JSON."""
    board = (
        dashboard.Dashboard("Brain tumor classification")
        .uid("brain-tumor")
        .description("Both tiers: what they do, what the model says, and whether the images are still what it knows.")
        .tags(["brain-tumor"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("namespace")
            .label("Namespace")
            .datasource(_SOURCE)
            .query("label_values(gateway_build_info, namespace)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(VariableOption(selected=True, text="All", value=_ALL))
        )
    )
    for title, graphs in _ROWS.items():
        board = board.with_row(dashboard.Row(title))
        for graph in graphs:
            board = board.with_panel(_panel(graph))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _panel(graph: _Graph) -> timeseries.Panel:
    panel = timeseries.Panel().title(graph.title).unit(graph.unit).datasource(_SOURCE).span(_WIDTH).height(_HEIGHT)
    panel = panel.thresholds(
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, "green"), *(Threshold(bound, "red") for bound in graph.bounds)])
    )
    if graph.bounds:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    for letter, (legend, query) in zip("ABCDEFGH", graph.queries.items(), strict=False):
        panel = panel.with_target(prometheus.Dataquery().ref_id(letter).expr(query).legend_format(legend))
    return panel


if __name__ == "__main__":
    print(build(), end="")
