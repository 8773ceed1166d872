"""Events for listeners, callbacks and OpenTelemetry; nothing is sent anywhere. PYTEST_DONT_REWRITE"""

from dspex_core.config.contracts import Event, Listener
from dspex_core.telemetry.spans import span

__all__ = ["Event", "Listener", "span"]
