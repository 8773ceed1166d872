"""The response cache under DSPy's names, for requests that are dicts and values of any kind. PYTEST_DONT_REWRITE

Nothing is pickled: the file keeps responses and JSON data; other values stay in memory.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dspex_core.config import configure, current
from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import value_text
from dspex_core.lm.cache import ResponseCache, default_cache
from dspex_core.messages import LMOutput, LMRequest, LMResponse
from dspex_core.storage.artifacts import read_artifact, write_artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

_FILE = "responses.sqlite"
_KIND = "memory cache"
_DATA = "application/json"  # the model of a response that stands for data
_MOST = 1_000_000
_SHARED = ("enable_disk_cache", "enable_memory_cache", "disk_cache_dir", "_values")


class Cache(ResponseCache):
    """A `ResponseCache` with DSPy's arguments and methods; `settings.cache` takes it.

    Args:
        enable_disk_cache: Whether values are kept for other processes.
        enable_memory_cache: Whether they are kept in memory.
        disk_cache_dir: The folder of the file; `None` is the user's own.
        disk_size_limit_bytes: No effect: the file grows as needed.
        memory_max_entries: How many values are kept in memory.
        restrict_pickle: No effect: nothing is pickled.
        safe_types: No effect, as above.
    """

    def __init__(
        self,
        enable_disk_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
        enable_memory_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
        disk_cache_dir: str | PathLike[str] | None = None,
        disk_size_limit_bytes: int | None = None,
        memory_max_entries: int = _MOST,
        *,
        restrict_pickle: bool = False,
        safe_types: Sequence[type] | None = None,
    ) -> None:
        shared = default_cache().path  # none in a process that only replays
        path = Path(disk_cache_dir) / _FILE if disk_cache_dir is not None else shared
        folder = path.parent if path is not None else ""
        path = path if enable_disk_cache else None
        super().__init__(path, memory_entries=memory_max_entries if enable_memory_cache else 0)
        self.enable_disk_cache = enable_disk_cache
        self.enable_memory_cache = enable_memory_cache
        self.disk_cache_dir = str(folder)
        self._values: dict[str, Any] = {}

    @classmethod
    def of(cls, cache: ResponseCache) -> Self:
        """Return a cache with DSPy's methods over the content of another one."""
        shared = cls.__new__(cls)
        if not cache.__dict__.keys() >= set(_SHARED):
            own = {"enable_disk_cache": cache.path is not None, "enable_memory_cache": True, "_values": {}}
            cache.__dict__.update(own, disk_cache_dir=str(cache.path.parent) if cache.path else None)
        shared.__dict__ = cache.__dict__
        return shared

    def cache_key(self, request: Mapping[str, Any], ignored_args_for_cache_key: Sequence[str] | None = None) -> str:
        """Return a stable hash of a request without some of its arguments."""
        ignored = ignored_args_for_cache_key or ()
        return LMRequest((), {name: value for name, value in request.items() if name not in ignored}).key("request")

    def get(self, request: str | Mapping[str, Any], ignored_args_for_cache_key: Sequence[str] | None = None) -> Any:
        """Return a copy of the value kept for a request, or `None`."""
        if isinstance(request, str):
            return super().get(request)
        key = self.cache_key(request, ignored_args_for_cache_key)
        if key in self._values:
            return copy.deepcopy(self._values[key])
        found = super().get(key)
        return json.loads(found.text) if found is not None and found.model == _DATA else found

    def put(
        self,
        request: str | Mapping[str, Any],
        value: Any,
        ignored_args_for_cache_key: Sequence[str] | None = None,
        enable_memory_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    ) -> None:
        """Keep a value for a request."""
        if isinstance(request, str):
            super().put(request, value)
            return
        key = self.cache_key(request, ignored_args_for_cache_key)
        if isinstance(value, LMResponse):
            super().put(key, value)
            return
        if self.enable_memory_cache and enable_memory_cache and len(self._values) < self._memory_entries:
            self._remember_value(key, value)
        if self._file is not None:
            try:
                text = json.dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError):
                return  # not JSON, so it stays in memory
            self._file.write(key, LMResponse((LMOutput(text),), _DATA))

    def _remember_value(self, key: str, value: Any) -> None:
        try:
            self._values[key] = copy.deepcopy(value)
        except RecursionError:
            raise ConfigurationError(f"{value_text(value, 200)} cannot be kept in a cache") from None

    def __contains__(self, key: str) -> bool:
        return key in self._values or super().get(key) is not None

    def reset_memory_cache(self) -> None:
        """Clear the memory; the file stays."""
        with self._lock:
            self._memory.clear()
            self._values.clear()

    def save_memory_cache(self, filepath: str | PathLike[str]) -> None:
        """Write the values in memory to a JSON file; values that are not JSON are left out.

        Raises:
            ArtifactError: The file cannot be written.
        """
        with self._lock:
            responses = {key: response.to_json() for key, response in self._memory.items()}
            values = {key: value for key, value in self._values.items() if _is_json(value)}
        write_artifact(filepath, _KIND, {"responses": responses, "values": values})

    def load_memory_cache(self, filepath: str | PathLike[str], allow_pickle: bool = False) -> None:  # noqa: FBT001, FBT002  as in DSPy
        """Read a file of `save_memory_cache`; a pickle is never loaded, even with `allow_pickle`.

        Raises:
            ArtifactError: The file cannot be read, or is not from `save_memory_cache`.
        """
        state = read_artifact(filepath, _KIND)
        for key, stored in state.get("responses", {}).items():
            self._remember(key, LMResponse.from_json(stored))
        self._values.update(state.get("values", {}))


def configure_cache(
    enable_disk_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    enable_memory_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    disk_cache_dir: str | PathLike[str] | None = None,
    disk_size_limit_bytes: int | None = None,
    memory_max_entries: int = _MOST,
    *,
    restrict_pickle: bool = False,
    safe_types: Sequence[type] | None = None,
) -> None:
    """Set the cache of the process: `configure(cache=Cache(...))`."""
    limits = (disk_size_limit_bytes, memory_max_entries)
    cache = Cache(
        enable_disk_cache,
        enable_memory_cache,
        disk_cache_dir,
        *limits,
        restrict_pickle=restrict_pickle,
        safe_types=safe_types,
    )
    configure(cache=cache)


def current_cache() -> Cache:
    """Return the cache in force here, with DSPy's methods: `dspy.cache`."""
    cache = current().cache or default_cache()
    if isinstance(cache, Cache):
        return cache
    if isinstance(cache, ResponseCache):
        return Cache.of(cache)
    raise ConfigurationError(f"the cache in the settings is {cache!r}; DSPy's methods need a ResponseCache")


def request_cache(
    cache_arg_name: str | None = None,
    ignored_args_for_cache_key: Sequence[str] | None = None,
    enable_memory_cache: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    *,
    maxsize: int | None = None,  # noqa: ARG001  as in DSPy
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that keeps a function's results, sync or async, in the cache in force when it is called.

    Args:
        cache_arg_name: The argument that holds the request; without it, the request is all arguments.
        ignored_args_for_cache_key: Arguments left out of the cache key; keys and addresses by default.
        enable_memory_cache: Whether results are kept in memory, too.
        maxsize: No effect.
    """
    ignored = ["api_key", "api_base", "base_url"] if ignored_args_for_cache_key is None else ignored_args_for_cache_key

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        request_of = functools.partial(_request_of, function, cache_arg_name)

        @functools.wraps(function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            request, cache = request_of(args, kwargs), current_cache()
            found = cache.get(request, ignored)
            if found is None:
                found = function(*args, **kwargs)
                cache.put(request, found, ignored, enable_memory_cache)
            return found

        @functools.wraps(function)
        async def acached(*args: Any, **kwargs: Any) -> Any:
            request, cache = request_of(args, kwargs), current_cache()
            found = cache.get(request, ignored)
            if found is None:
                found = await function(*args, **kwargs)
                cache.put(request, found, ignored, enable_memory_cache)
            return found

        return acached if inspect.iscoroutinefunction(function) else cached

    return decorate


def _request_of(
    function: Callable[..., Any], name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the request in a call of a function: the argument of that name, or all of them."""
    positional = {f"positional_{index}": value for index, value in enumerate(args)}
    request = {**kwargs, **positional} if name is None else kwargs[name]
    return {**request, "_function": f"{function.__module__}.{function.__qualname__}"}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
