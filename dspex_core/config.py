"""What a call uses when it is not told otherwise: the LM, the adapter, listeners, limits. PYTEST_DONT_REWRITE

`configure(...)` sets the defaults of the process, from any thread. `with context(...)` sets
them for one block, in this thread or task and in what it starts with a copy of its context.
"""

from __future__ import annotations

import dataclasses
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.budget import Budget
    from dspex_core.example import Prediction
    from dspex_core.lm.base import BaseLM
    from dspex_core.lm.cache import ResponseCache
    from dspex_core.lm.recorded import Recorder
    from dspex_core.programs.base import Predictor
    from dspex_core.streaming.listener import Router
    from dspex_core.telemetry import Listener
    from dspex_core.usage import UsageTracker

    Trace = list[tuple[Predictor, dict[str, Any], Prediction]]


@dataclass(frozen=True, slots=True)
class Settings:
    """One consistent set of settings.

    Args:
        lm: The LM of every predictor that has none of its own.
        adapter: How signatures become prompts; `None` takes the one that the LM prefers.
        cache: Where responses are kept; `None` takes the one shared by all processes of the user.
        recorder: Takes each LM call before the LM does; cassettes are one.
        listeners: Called with each telemetry event, but for those of adapters, which are for callbacks alone.
        callbacks: Told of each call of a module, an LM, an adapter, a tool, ...; see `BaseCallback`.
        trace: Where predictors note `(predictor, inputs, prediction)`; `None` notes nothing.
        num_threads: How many examples `Evaluate` and `Parallel` run at once.
        max_errors: After how many failed examples they give up.
        parse_retries: How often a reply that cannot be read is asked for again with what was wrong
            with it, before the adapter's fallback is tried.
        usage: Counts the tokens of each call; see `track_usage`.
        track_usage: Whether each prediction of a program says what it took: `get_lm_usage()`.
        budget: What calls may take; the one that would exceed it raises.
        stream: Who is told of the pieces of replies while they arrive; `streamify` sets it.
    """

    lm: BaseLM | None = None
    adapter: Adapter | None = None
    cache: ResponseCache | None = None
    recorder: Recorder | None = None
    listeners: Sequence[Listener] = ()
    callbacks: Sequence[Listener] = ()
    trace: Trace | None = None
    num_threads: int = 8
    max_errors: int = 10
    parse_retries: int = 0
    usage: UsageTracker | None = None
    track_usage: bool = False
    budget: Budget | None = None
    stream: Router | None = None


_NAMES = frozenset(field.name for field in dataclasses.fields(Settings))


class _Config:
    """The process's defaults and, over them, what the current context overrides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._default = Settings()
        self._override: ContextVar[Settings | None] = ContextVar("dspex_settings", default=None)

    def current(self) -> Settings:
        """Return the settings in force here."""
        return self._override.get() or self._default

    def configure(self, **values: Any) -> None:
        """Set defaults of the whole process; inside a `context` they hold for that context."""
        _check(values)
        inner = self._override.get()
        if inner is not None:
            self._override.set(dataclasses.replace(inner, **values))
            return
        with self._lock:
            self._default = dataclasses.replace(self._default, **values)

    @contextmanager
    def context(self, **values: Any) -> Iterator[Settings]:
        """Override settings for a block."""
        _check(values)
        settings = dataclasses.replace(self.current(), **values)
        token = self._override.set(settings)
        try:
            yield settings
        finally:
            self._override.reset(token)

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            message = f"there is no setting {name!r}; there are: {', '.join(sorted(_NAMES))}"
            raise AttributeError(message)
        return getattr(self.current(), name)  # the one place where a setting is read by its name


def _check(values: dict[str, Any]) -> None:
    unknown = sorted(set(values) - _NAMES)
    if unknown:
        message = f"unknown setting {', '.join(map(repr, unknown))}; there are: {', '.join(sorted(_NAMES))}"
        raise ConfigurationError(message)


settings = _Config()
configure = settings.configure
context = settings.context
current = settings.current
