"""What it costs a call when somebody listens: a callback with every handler, or OpenTelemetry's SDK.

`Predict` on an answer from the memory cache and on a `ScriptedLM`. The listeners take turns, round
after round, in one process; the medians of their CPU time count, that of the SDK's own thread included.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import server
from dspex_core.otel import OpenTelemetry
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tabulate import tabulate

import dspex_core

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.config.contracts import Event

BAR = 0.1  # ms a call
CALLS = 500  # of which the SDK's queue holds all spans
QUESTION = "What is the capital of France?"


class Counting(dspex_core.BaseCallback):
    """Does next to nothing in each of the handlers that a call has."""

    def __init__(self) -> None:
        self.told = 0

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.told += 1

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self.told += 1

    on_lm_start = on_adapter_format_start = on_adapter_parse_start = on_module_start
    on_lm_end = on_adapter_format_end = on_adapter_parse_end = on_module_end


class Batches:
    """The SDK as applications run it: spans go in batches, from a thread of its own, to an exporter."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))

    def flush(self) -> None:
        self.provider.force_flush()
        assert len(self.exporter.get_finished_spans()) in (0, 2 * CALLS)  # of one call, those of Predict and the LM
        self.exporter.clear()


class Bare:
    """What the SDK takes for two nested spans that say nothing."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("bare")
        self._open: list[Any] = []

    def __call__(self, event: Event) -> None:
        if event.moment == "start":
            span = self._tracer.start_span(event.kind)
            self._open.append((span, context.attach(trace.set_span_in_context(span))))
        else:
            span, token = self._open.pop()
            context.detach(token)
            span.end()


def seconds(call: Callable[[], object], settings: Mapping[str, Any], batches: Batches) -> float:
    """Return the CPU seconds of a round of calls under some settings."""
    started = time.process_time()
    with dspex_core.context(**settings):
        for _ in range(CALLS):
            call()
    batches.flush()
    return time.process_time() - started


def measure(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of a call by who listens."""
    batches = Batches()
    kinds: dict[str, dict[str, Any]] = {
        "nobody": {},
        "a callback": {"callbacks": [Counting()]},
        "the bare SDK": {"listeners": [Bare(batches.provider)]},
        "OpenTelemetry": {"listeners": [OpenTelemetry(batches.provider)]},
        "OpenTelemetry with contents": {"listeners": [OpenTelemetry(batches.provider, capture_content=True)]},
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, settings in kinds.items():
            taken[kind].append(1000 * seconds(call, settings, batches) / CALLS)
    batches.provider.shutdown()
    return {kind: statistics.median(times) for kind, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31, help="how often each kind of listener has its turn")
    options = parser.parse_args()
    predict = dspex_core.Predict("question -> answer")
    rows = []
    with server.running() as url:
        cached = dspex_core.LM("openai/x", api_base=url, api_key="k")
        scripted = dspex_core.ScriptedLM(lambda _: {"answer": "Paris"})
        for name, lm in (("a cached answer", cached), ("ScriptedLM", scripted)):
            with dspex_core.context(lm=lm, cache=dspex_core.ResponseCache()):
                found = measure(partial(predict, question=QUESTION), options.rounds)
            for kind, taken in found.items():
                cost = taken - found["nobody"]
                rows.append((f"Predict on {name}", kind, taken, cost, BAR, "yes" if cost <= BAR else "no"))
    print(tabulate(rows, ("what", "who listens", "ms a call", "more, ms", "bar", "met"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
