"""Settings with the defaults of calls: the LM, the adapter, listeners, limits. PYTEST_DONT_REWRITE

`configure(...)` sets the defaults of the process, from any thread. `with context(...)` sets
them for one block, in this thread or task and in what it starts with a copy of its context.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_core.config.contracts import LanguageModel
from dspex_core.config.given_stream import GivenStream, given_stream
from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import value_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from os import PathLike

    from dspex_core.config.contracts import Listener, Recorder, ReplyRouter, ResponseStore, Trace
    from dspex_core.spending.budget import Budget
    from dspex_core.spending.usage import UsageTracker


class Settings(NamedTuple):  # each context makes one; a frozen dataclass with so many fields takes ten times as long
    """One consistent set of settings.

    Args:
        lm: The LM of every predictor without its own.
        judge_lm: The LM of judges without their own; `None` for `lm`.
        adapter: How signatures become prompts; `None` means the LM's preferred adapter.
        cache: The response cache; `None` means the one shared by all processes of the user.
        recorder: Receives each LM call before the LM; cassettes are recorders.
        listeners: Receive each telemetry event, except those of adapters, which only callbacks receive.
        callbacks: Receive events of each call of a module, an LM, an adapter, a tool, ...; see `BaseCallback`.
        trace: The list to which predictors append `(predictor, inputs, prediction)`, or `None`.
        num_threads: The number of examples that `Evaluate` and `Parallel` run at once.
        max_errors: The number of failed examples after which they stop.
        parse_retries: How often a call is repeated, with the problems listed, after a reply that cannot be parsed,
            before the adapter's fallback is tried.
        usage: Counts the tokens of each call; see `track_usage`.
        track_usage: Whether each prediction of a program has its usage: `get_lm_usage()`.
        budget: The limits of calls, tokens or dollars; a call that would exceed them raises.
        rm: The retriever that `Retrieve` uses.
        disable_history: Whether calls are left out of all histories.
        max_history_size: How many calls the history of an LM or a program keeps at most.
        max_trace_size: How many entries `trace` keeps at most; older ones give way.
        async_max_workers: How many calls of `asyncify` run at once.
        provide_traceback: Whether the log of `Evaluate` and `Parallel` shows where a failure came from.
        warn_on_type_mismatch: Whether `Predict` logs an input that does not fit the field's type.
        allow_tool_async_sync_conversion: No effect: an async tool can always be called sync.
        replay_only: Whether models without a recorder refuse each call, as in a pytest session that replays; the
            environment variable `DSPEX_REPLAY` sets it for the process.
        recorded_only: Whether each call that no recorder stands before is refused, as in a pytest session that records:
            it could not be replayed. Inside of a recorded call it is off.
        resample: Whether calls at a temperature above 0 are answered by the model each time, never from the cache, as
            in a pytest session that calls models.
        attempt: Which of the attempts at one example is made, from 1; each asks a sampled request anew, see `Evaluate`.
        stream: Receives the pieces of replies while they arrive; `streamify` sets it.
        experimental: Whether calling an LM returns the `LMResponse` instead of a list.
        executor: Whose workers run the examples of `Evaluate`, `Parallel` and `batch`; `None` for this process.
    """

    lm: LanguageModel | None = None
    adapter: Any = None  # an `Adapter`; it stands above, and knows signatures
    cache: ResponseStore | None = None
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
    rm: Any = None
    disable_history: bool = False
    max_history_size: int = 10_000
    max_trace_size: int = 10_000
    async_max_workers: int = 8
    provide_traceback: bool = False
    warn_on_type_mismatch: bool = True
    allow_tool_async_sync_conversion: bool = True
    replay_only: bool = False
    recorded_only: bool = False
    resample: bool = False
    attempt: int = 1
    stream: ReplyRouter | None = None
    judge_lm: LanguageModel | None = None
    executor: Executor | None = None
    experimental: bool = False


REPLAY_VARIABLE = "DSPEX_REPLAY"  # set to any value, the process calls no model
REFUSALS_VARIABLE = "DSPEX_REFUSALS"  # a folder for notes of refused calls, which the first of them makes

_PLACES = {name: place for place, name in enumerate(Settings._fields)}
_NAMES = frozenset(_PLACES)
# A file must not enable calls in a replaying process.
_STORED = _NAMES - {"replay_only", "recorded_only", "resample", "attempt"}
_DSPY_NAMES = {"usage_tracker": "usage", "send_stream": "stream"}
_WITHOUT_EFFECT = {
    "branch_idx": 0,
    "caller_modules": None,
    "caller_predict": None,
    "stream_listeners": (),
}  # DSPy's own notes


class SettingsCopy(dict[str, Any]):
    """The settings at one moment, by key or attribute; to change it changes nothing else."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(_no_setting(name)) from None


class _Config:
    """The process's defaults and, over them, what the current context overrides.

    Settings are read and set as attributes or by key, as in DSPy: `settings.lm`, `settings["lm"] = ...`.
    """

    _lock: threading.Lock
    _default: Settings
    _override: ContextVar[Settings | None]

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._default = Settings(replay_only=bool(os.environ.get(REPLAY_VARIABLE)))
        self._override: ContextVar[Settings | None] = ContextVar("dspex_settings", default=None)

    def current(self) -> Settings:
        """Return the settings in force here."""
        return self._override.get() or self._default

    def configure(self, **values: Any) -> None:
        """Set defaults of the whole process; inside a `context` they hold for that context."""
        values = _checked(values)
        inner = self._override.get()
        if inner is not None:
            self._override.set(_replaced(inner, values))
            return
        with self._lock:
            self._default = _replaced(self._default, values)

    @contextmanager
    def context(self, **values: Any) -> Iterator[Settings]:
        """Override settings for a block."""
        settings = _replaced(self.current(), _checked(values))
        token = self._override.set(settings)
        try:
            yield settings
        finally:
            self._override.reset(token)

    def in_context(self) -> bool:
        """Return whether a `context` is open here; new threads have none."""
        return self._override.get() is not None

    @property
    def config(self) -> SettingsCopy:
        """The settings in force here, as `copy` returns them."""
        return self.copy()

    def copy(self) -> SettingsCopy:
        """Return the settings in force here as a dict."""
        return SettingsCopy((name, self[name]) for name in sorted(_NAMES))

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting, or `default` for an unknown name."""
        try:
            return self[key]
        except AttributeError:
            return default

    def save(self, path: str | PathLike[str], exclude_keys: Iterable[str] = ()) -> None:
        """Write the storable settings in force here to a JSON file; `load` reads it.

        Numbers, switches and the LM are written, without keys and endpoints. All others are objects of the
        program: it sets them itself.

        Args:
            path: The file.
            exclude_keys: Settings to leave out.

        Raises:
            ArtifactError: The file cannot be written.
        """
        from dspex_core.storage.settings_files import (
            write_settings,  # few processes need it, and all import this module
        )

        write_settings(path, {name: self[name] for name in _STORED - set(exclude_keys)})

    def load(self, path: str | PathLike[str], allow_pickle: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  as in DSPy
        """Return the settings in a file that `save` wrote, for `configure(**settings.load(path))`.

        A pickle is never loaded, whatever `allow_pickle` says: that would run its code.

        Raises:
            ArtifactError: The file cannot be read, or does not hold settings.
        """
        from dspex_core.storage.settings_files import read_settings  # as above

        return read_settings(path, _STORED)

    def install_recorder(self, recorder: Recorder | None, **values: Any) -> Callable[[], None]:
        """Set a recorder for the whole process, its threads without a context included, and for this context.

        Args:
            recorder: The recorder.
            **values: Other settings that go with it: `replay_only`, `resample`, `cache`.

        Returns:
            A function that restores the previous values.
        """
        values = _checked({"recorder": recorder, **values})
        with self._lock:
            before = {name: _value(self._default, name) for name in values}
            self._default = _replaced(self._default, values)
        inner = self._override.get()
        if inner is not None:
            self._override.set(_replaced(inner, values))

        def undo() -> None:
            with self._lock:
                self._default = _replaced(self._default, before)
            now = self._override.get()
            if now is not None and inner is not None:
                inside = {name: _value(inner, name) for name in values}
                self._override.set(_replaced(now, inside))

        return undo

    def __getattr__(self, name: str) -> Any:
        known = _DSPY_NAMES.get(name, name)
        if name == "send_stream":  # as DSPy calls the way into the iterator of `streamify`
            stream = self.current().stream
            return stream.target if isinstance(stream, GivenStream) else stream
        if name in _WITHOUT_EFFECT:
            return _WITHOUT_EFFECT[name]
        if known not in _NAMES:
            raise AttributeError(_no_setting(name))
        value = _value(self.current(), known)
        return [] if name == "trace" and value is None else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self.configure(**{name: value})

    def __getitem__(self, name: str) -> Any:
        return self.__getattr__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.configure(**{name: value})

    def __contains__(self, name: str) -> bool:
        return _DSPY_NAMES.get(name, name) in _NAMES or name in _WITHOUT_EFFECT

    def __repr__(self) -> str:
        return f"settings({', '.join(f'{name}={value!r}' for name, value in self.copy().items())})"


# `isinstance` would find them anew for each value, in Python 3.11
_PARTS_OF_A_MODEL = tuple(name for name in vars(LanguageModel) if not name.startswith("_"))
_PLAIN = (str, bytes, int, float, list, tuple, dict, set, frozenset, type)
_OBJECTS = {
    "lm": 'lm=LM("provider/model")',
    "judge_lm": 'judge_lm=LM("provider/model")',
    "adapter": "adapter=ChatAdapter() or adapter=JSONAdapter()",
}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings under our names.

    Raises:
        ConfigurationError: A name is not a setting, or a model or an adapter is another kind of value.
    """
    if values.keys() <= _NAMES and values.keys().isdisjoint(_OBJECTS):  # as most are: each example of an evaluation
        return values
    unknown = sorted(set(values) - _NAMES - _DSPY_NAMES.keys() - _WITHOUT_EFFECT.keys())
    if unknown:
        message = f"unknown setting {', '.join(map(repr, unknown))}; use one of: {', '.join(sorted(_NAMES))}"
        raise ConfigurationError(message)
    for name, fix in _OBJECTS.items():
        if not _is_object(name, values.get(name)):
            raise ConfigurationError(
                f"the setting {name!r} must be an object, not {value_text(values[name], 200)}: write {fix}"
            )
    if "send_stream" in values:
        values = {**values, "send_stream": given_stream(values["send_stream"])}
    return {_DSPY_NAMES.get(name, name): value for name, value in values.items() if name not in _WITHOUT_EFFECT}


def _is_object(name: str, value: Any) -> bool:
    """Return whether a setting can be a model or an adapter: plain data and classes cannot."""
    if value is None:
        return True
    if isinstance(value, _PLAIN):
        return False
    return name == "adapter" or all(hasattr(value, part) for part in _PARTS_OF_A_MODEL)


def _replaced(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return settings with some of them changed."""
    found = list(settings)
    for name, value in values.items():
        found[_PLACES[name]] = value
    return Settings._make(found)


def _value(settings: Settings, name: str) -> Any:
    return getattr(settings, name)  # the one place where a setting is read by its name


def _no_setting(name: str) -> str:
    return f"unknown setting {name!r}; use one of: {', '.join(sorted(_NAMES))}"


settings = _Config()
configure = settings.configure
context = settings.context
current = settings.current
load_settings = settings.load
