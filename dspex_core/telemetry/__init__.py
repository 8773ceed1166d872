"""Events of what happens, for listeners, callbacks and OpenTelemetry; nothing is sent anywhere. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.spans import Event, Listener, span

__all__ = ["Event", "Listener", "span"]
