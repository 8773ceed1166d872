"""What travels between this process and its workers. PYTEST_DONT_REWRITE

Both sides have the program, its parts and the arguments of a call. A value that holds one of these holds its name
instead while it travels, so that each side gets its own object back.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.lm.base import BaseLM
from dspex_core.lm.client import LM
from dspex_core.lm.embedding import EmbeddingModel
from dspex_core.lm.history import CallLog
from dspex_core.plain.display import error_text
from dspex_core.programs.saving.storable import Storable
from dspex_core.programs.saving.tree import attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

_registering = threading.RLock()  # cloudpickle has one list of modules


class Parcel:
    """A packed value. Its `repr` shows no contents: schedulers log the arguments of failed tasks."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[type[Parcel], tuple[bytes]]:
        return Parcel, (self.data,)

    def __repr__(self) -> str:
        return f"<Parcel of {len(self.data)} bytes>"


def pack(value: Any, shared: Mapping[str, Any] | None = None, *, by_value: Collection[ModuleType] = ()) -> Parcel:
    """Pack a value; the keys of LMs go with it, their histories do not.

    Args:
        value: Any value that cloudpickle can write.
        shared: Objects that the other side has, too, by name.
        by_value: Modules whose functions and classes travel as they are here, and are not imported there.

    Raises:
        ConfigurationError: A part of the value cannot leave the process.
    """
    buffer = io.BytesIO()
    try:
        with ExitStack() as stack:
            registered = partial(stack.enter_context, _by_value(by_value))
            names = {id(each): name for name, each in (shared or {}).items()}
            _packer()(buffer, names, {module.__name__ for module in by_value}, registered).dump(value)
    except Exception as error:
        message = (
            f"it cannot be sent to another process: {error_text(error)}. Open files, connections, locks and generators "
            "stay in their process: make them where they are used"
        )
        raise ConfigurationError(message) from error
    return Parcel(buffer.getvalue())


@cache
def _packer() -> Callable[..., Any]:
    """Return the class of picklers; it is made once, as a class takes longer than most values."""
    with foreign_code():
        import cloudpickle  # only work in other processes needs it

    class Packer(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no type information
        def __init__(
            self, file: io.BytesIO, names: Mapping[int, str], own: Collection[str], registered: Callable[[], object]
        ) -> None:
            super().__init__(file)
            self._names = names
            self._own = own
            self._registered = registered

        def persistent_id(self, obj: Any) -> str | None:
            return self._names.get(id(obj))

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, LM | EmbeddingModel):
                reduced: Any = obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
                make, arguments, state = reduced[:3]
                return make, arguments, {**state, **obj.credentials()}
            if isinstance(obj, CallLog):
                return CallLog, ((), obj.maxlen)
            if self._own and _module_of(obj) in self._own:
                self._registered()  # from here on: most arguments of a piece hold no code
                self._own = ()
            return super().reducer_override(obj)

    return Packer


def _module_of(obj: Any) -> str | None:
    name = getattr(obj, "__name__" if isinstance(obj, ModuleType) else "__module__", None)
    return name if isinstance(name, str) else None


@contextmanager
def _by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    with foreign_code():
        from cloudpickle import register_pickle_by_value, unregister_pickle_by_value  # as above

    with _registering:
        known = [module for module in modules if sys.modules.get(module.__name__) is module]
        for module in known:
            register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in known:
                unregister_pickle_by_value(module)


def unpack(parcel: Parcel, shared: Mapping[str, Any] | None = None) -> Any:
    """Return a packed value, with this side's objects in the places of their names."""
    return _Unpacker(io.BytesIO(parcel.data), shared or {}).load()


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def named(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a caller's programs both sides have: programs, LMs and histories, by names."""
    found: dict[str, Any] = {}
    for part, value in parts.items():
        if not isinstance(value, Storable):
            found[part] = value
            continue
        for path, module in value.named_modules():
            name = f"{part} {path}"
            found[name] = module
            if isinstance(module, _Called):
                found[f"{name} history"] = module.history
            found |= {f"{name}.{key}": each for key, each in attributes(module).items() if isinstance(each, BaseLM)}
    return {name: each for name, each in found.items() if each is not None}


@runtime_checkable
class _Called(Protocol):
    @property
    def history(self) -> CallLog: ...
