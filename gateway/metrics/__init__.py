"""The gateway's metrics for Prometheus. No label ever holds anything that a client sent."""

from gateway.metrics.registry import Metrics

__all__ = ["Metrics"]
