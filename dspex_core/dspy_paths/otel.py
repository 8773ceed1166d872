"""A short path to OpenTelemetry spans. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.otel import OpenTelemetry

__all__ = ["OpenTelemetry"]
