"""Traces of both tiers by OpenTelemetry: off unless the environment names a collector, and then nothing is imported.

The tiers' code knows ``tracing.spans`` alone. ``tracing.otel`` and ``tracing.outages`` are the only modules that import
OpenTelemetry.
"""
