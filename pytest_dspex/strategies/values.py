"""Values of a type with its constraints. PYTEST_DONT_REWRITE

Hypothesis makes values of most types. It does not read pydantic's constraints and models, so these are read here.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import math
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Union

import annotated_types
import pydantic
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from dspex_core import Image
from dspex_core.plugin_api import PromptValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hypothesis.strategies import SearchStrategy

_PIXEL = (  # a PNG of one white pixel
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
_TEXT = st.characters(codec="utf-8")  # no provider takes the half of a surrogate pair
_COLLECTIONS: dict[Any, Callable[..., SearchStrategy[Any]]] = {
    list: st.lists,
    collections.abc.Sequence: st.lists,
    collections.abc.Iterable: st.lists,
    collections.abc.Collection: st.lists,
    set: st.sets,
    frozenset: st.frozensets,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class NoStrategyError(TypeError):
    """A type for which there is no strategy."""


def values(annotation: Any, constraints: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Return a strategy of the values of a type.

    Args:
        annotation: The type.
        constraints: Limits by pydantic's names: `ge`, `max_length`, `pattern`, ...

    Raises:
        NoStrategyError: The type, or one inside of it, has no strategy.
    """
    return _Types().of(annotation, dict(constraints))


class _Types:
    """Makes the strategy of each class once, so that a model may contain itself."""

    def __init__(self) -> None:
        self._made: dict[type, SearchStrategy[Any]] = {}

    def of(self, annotation: Any, limits: dict[str, Any]) -> SearchStrategy[Any]:
        annotation, limits = _bare(annotation, limits)
        origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            return st.sampled_from(parts)
        if origin in (Union, types.UnionType):
            return st.one_of([self.of(part, limits) for part in parts])
        if annotation in (list, dict, set, frozenset, tuple):
            return self._collection(annotation, (), limits)
        if origin is not None and not _is_model(origin):
            return self._collection(origin, parts, limits)
        return self._of_class(annotation, limits)

    def _collection(self, origin: Any, parts: tuple[Any, ...], limits: dict[str, Any]) -> SearchStrategy[Any]:
        sizes = {"min_size": limits.get("min_length", 0), "max_size": limits.get("max_length")}
        if origin in _MAPPINGS:
            key, item = parts or (str, Any)
            return st.dictionaries(self.of(key, {}), self.of(item, {}), **sizes)
        if origin is tuple and parts and parts[-1] is not Ellipsis:
            return st.tuples(*(self.of(part, {}) for part in parts))
        item = self.of(parts[0] if parts else Any, {})
        if origin is tuple:
            return st.lists(item, **sizes).map(tuple)
        if origin in _COLLECTIONS:
            return _COLLECTIONS[origin](item, **sizes)
        raise NoStrategyError(f"{origin!r}")

    def _of_class(self, kind: Any, limits: dict[str, Any]) -> SearchStrategy[Any]:
        if kind in (Any, object):
            return st.none() | st.booleans() | st.integers() | _floats({}) | _texts({})
        if kind in (None, type(None)):
            return st.none()
        if kind in _LIMITED:
            return _LIMITED[kind](limits)
        if kind in _SAMPLES:
            return _SAMPLES[kind]
        if isinstance(kind, type) and issubclass(kind, PromptValue):
            raise NoStrategyError(f"{kind.__qualname__}")
        fields = _fields(kind)
        if fields is None:
            return _from_type(kind)
        if kind not in self._made:
            self._made[kind] = st.deferred(lambda: made)
            made = self._model(kind, fields)
            self._made[kind] = made
        return self._made[kind]

    def _model(self, kind: Any, fields: Mapping[str, Any]) -> SearchStrategy[Any]:
        parts = {name: self.of(annotation, {}) for name, annotation in fields.items()}
        if typing.is_typeddict(kind):
            return st.fixed_dictionaries(parts)
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)

        def made(data: dict[str, Any]) -> Any:
            try:
                return [adapter.validate_python(data, by_alias=False, by_name=True)]
            except pydantic.ValidationError:  # a validator of the model's own
                return []

        return st.fixed_dictionaries(parts).map(made).filter(bool).map(lambda found: found[0])


def _bare(annotation: Any, limits: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a type without `Annotated`, `NewType` and aliases around it, and all of its constraints."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation, *metadata = typing.get_args(annotation)
            limits = {**_limits(metadata), **limits}
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # Python 3.12
            annotation = annotation.__value__
        else:
            return annotation, limits


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, pydantic.BaseModel) or dataclasses.is_dataclass(kind))


def _fields(kind: Any) -> Mapping[str, Any] | None:
    """Return the types of a class's fields, with their constraints; `None` for other classes."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        fields = kind.model_fields
        return {
            name: Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
            for name, info in fields.items()
        }
    if typing.is_typeddict(kind):
        return typing.get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
    return None


def _from_type(kind: Any) -> SearchStrategy[Any]:
    try:
        strategy = st.from_type(kind)
        strategy.validate()
    except (HypothesisException, TypeError, NameError, SyntaxError) as error:  # the latter from the class's annotations
        raise NoStrategyError(f"{getattr(kind, '__qualname__', kind)}") from error
    return strategy


def _limits(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return the constraints in the metadata of an annotation, by pydantic's names."""
    found: dict[str, Any] = {}
    for each in metadata:
        if isinstance(each, pydantic.fields.FieldInfo):
            found.update(_limits(each.metadata))
        elif isinstance(each, annotated_types.GroupedMetadata):
            found.update(_limits(each))
        else:
            found.update(getattr(each, "__dict__", None) or _of_slots(each))
    return {name: value for name, value in found.items() if value is not None}


def _of_slots(each: Any) -> dict[str, Any]:
    return (
        {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
        if dataclasses.is_dataclass(each)
        else {}
    )


def _texts(limits: Mapping[str, Any]) -> SearchStrategy[str]:
    least, most = limits.get("min_length", 0), limits.get("max_length", math.inf)
    if "pattern" in limits:
        return st.from_regex(limits["pattern"], alphabet=_TEXT).filter(lambda text: least <= len(text) <= most)
    return st.text(_TEXT, min_size=least, max_size=limits.get("max_length"))


def _bounds(limits: Mapping[str, Any], step: Any) -> tuple[Any, Any]:
    """Return the least and the greatest value, with `step` between a value and an exclusive bound."""
    lowest = [*([limits["ge"]] if "ge" in limits else []), *([limits["gt"] + step] if "gt" in limits else [])]
    highest = [*([limits["le"]] if "le" in limits else []), *([limits["lt"] - step] if "lt" in limits else [])]
    return max(lowest, default=None), min(highest, default=None)


def _integers(limits: Mapping[str, Any]) -> SearchStrategy[int]:
    low, high = _bounds(limits, 1)
    step = limits.get("multiple_of", 1)
    least = None if low is None else math.ceil(low / step)
    most = None if high is None else math.floor(high / step)
    return st.integers(least, most).map(lambda number: int(number * step))


def _floats(limits: Mapping[str, Any]) -> SearchStrategy[float]:
    if "multiple_of" in limits:
        return _integers({**limits, "multiple_of": 1}).map(lambda number: float(number * limits["multiple_of"]))
    low, high = _bounds(limits, 0)
    return st.floats(
        low,
        high,
        exclude_min=low is not None and low == limits.get("gt"),
        exclude_max=high is not None and high == limits.get("lt"),
        allow_nan=False,
        allow_infinity=False,
    )


def _decimals(limits: Mapping[str, Any]) -> SearchStrategy[decimal.Decimal]:
    low, high = _bounds(limits, 0)
    return st.decimals(low, high, places=limits.get("decimal_places"), allow_nan=False, allow_infinity=False)


def _between(strategy: Callable[..., SearchStrategy[Any]], step: Any) -> Callable[..., SearchStrategy[Any]]:
    def limited(limits: Mapping[str, Any]) -> SearchStrategy[Any]:
        low, high = _bounds(limits, step)
        chosen = {**({} if low is None else {"min_value": low}), **({} if high is None else {"max_value": high})}
        return strategy(**chosen)

    return limited


def _binaries(limits: Mapping[str, Any]) -> SearchStrategy[bytes]:
    return st.binary(min_size=limits.get("min_length", 0), max_size=limits.get("max_length"))


_LIMITED: dict[Any, Callable[[Mapping[str, Any]], SearchStrategy[Any]]] = {
    str: _texts,
    int: _integers,
    float: _floats,
    decimal.Decimal: _decimals,
    bytes: _binaries,
    dt.date: _between(st.dates, dt.timedelta(days=1)),
    dt.datetime: _between(st.datetimes, dt.timedelta(microseconds=1)),
    dt.timedelta: _between(st.timedeltas, dt.timedelta(microseconds=1)),
}
_SAMPLES: dict[Any, SearchStrategy[Any]] = {Image: st.just(Image(_PIXEL))}
