"""What a service counts, for Prometheus. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

try:
    with foreign_code():
        import prometheus_client as client
except ImportError as error:
    raise ImportError('a service needs prometheus-client: pip install "pytest-dspex[serve]"') from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# From a recorded answer to an agent of many turns.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServiceMetrics:
    """The metrics of one service, in a registry of its own: two services in a process do not mix."""

    def __init__(self) -> None:
        self.registry = client.CollectorRegistry(auto_describe=True)
        self._requests = client.Counter(
            "dspex_requests",
            "Requests by program, HTTP status, and code of the error or ok.",
            ["program", "status", "code"],
            registry=self.registry,
        )
        self._seconds = client.Histogram(
            "dspex_call_seconds",
            "How long calls of programs took.",
            ["program"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._running = client.Gauge(
            "dspex_calls_running", "Calls of programs under way.", ["program"], registry=self.registry
        )
        self._gauges: dict[str, Any] = {}

    def watch(self, program: str, counts: Callable[[], Mapping[str, float]]) -> None:
        """Show counts of a backend, such as its workers, whenever the metrics are read."""
        for name in counts():
            gauge = self._backend(name)
            gauge.labels(program).set_function(lambda name=name: counts()[name])

    def _backend(self, name: str) -> Any:
        if name not in self._gauges:
            words = f"Worker processes and their calls: {name}."
            self._gauges[name] = client.Gauge(f"dspex_workers_{name}", words, ["program"], registry=self.registry)
        return self._gauges[name]

    def began(self, program: str) -> None:
        """Count a call that begins."""
        self._running.labels(program).inc()

    def ended(self, program: str, seconds: float) -> None:
        """Count a call that has ended."""
        self._running.labels(program).dec()
        self._seconds.labels(program).observe(seconds)

    def answered(self, program: str, *, status: int, code: str) -> None:
        """Count a request that was answered; `program` is empty where it was for none."""
        self._requests.labels(program, str(status), code).inc()

    def text(self) -> tuple[bytes, Mapping[str, str]]:
        """Return the metrics in Prometheus' text format, and the headers of that."""
        return client.generate_latest(self.registry), {"content-type": client.CONTENT_TYPE_LATEST}
