"""Examples (rows of data) and predictions (what a program returns). PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Self, SupportsFloat

from dspex_core.errors.shown import ENDLESS, value_text
from dspex_core.plain.prompt_values import FunctionTool
from dspex_core.plain.sets import in_order, with_ordered_sets

if TYPE_CHECKING:
    from dspex_core.errors import ToolExecutionError


class Record:
    """Named values, read as attributes or as items."""

    __slots__ = ("__dict__", "_store")

    _store: dict[str, Any]

    def __init__(self, base: Record | Mapping[str, Any] | None = None, /, **values: Any) -> None:
        if base is None and isinstance(values.get("base"), Record):  # DSPy's name; any other value is that of a field
            base = values.pop("base")
        store = dict(base.items(include_dspy=True) if isinstance(base, Record) else base or {})
        store.update(values)
        object.__setattr__(self, "_store", store)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            try:
                return self._store[name]
            except KeyError:
                pass
        message = f"{type(self).__name__} has no field {name!r}; it has: {', '.join(self._store) or 'none'}"
        raise AttributeError(message)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._store[name] = value

    def __getitem__(self, key: str) -> Any:
        return self._store[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._store[key] = value

    def __delitem__(self, key: str) -> None:
        del self._store[key]

    def __contains__(self, key: object) -> bool:
        return key in self._store

    def __iter__(self) -> Iterator[str]:
        return iter(self._store)

    def __len__(self) -> int:
        return len(self._shown(include_dspy=False))

    @recursive_repr()
    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={_text(value)}" for key, value in self._store.items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        """Whether it has the same fields and values as another record, or as a mapping."""
        if isinstance(other, Record):
            return self._store == other._store
        return isinstance(other, Mapping) and self._store == other

    def __hash__(self) -> int:
        return hash(tuple([(key, _text(self._store[key])) for key in sorted(self._store)]))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._store,), dict(self.__dict__))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def keys(self, include_dspy: bool = False) -> list[str]:  # noqa: FBT001, FBT002  DSPy's signature
        """Return the names of the fields in a list; those that begin with `dspy_` if they are asked for."""
        return list(self._shown(include_dspy=include_dspy).keys())

    def values(self, include_dspy: bool = False) -> list[Any]:  # noqa: FBT001, FBT002  DSPy's signature
        """Return the values of the fields in a list: of those that `keys` returns."""
        return list(self._shown(include_dspy=include_dspy).values())

    def items(self, include_dspy: bool = False) -> list[tuple[str, Any]]:  # noqa: FBT001, FBT002  DSPy's signature
        """Return pairs of name and value, for the fields that `keys` returns."""
        return list(self._shown(include_dspy=include_dspy).items())

    def _shown(self, *, include_dspy: bool) -> dict[str, Any]:
        store = self._store
        if not include_dspy:
            for name in store:  # a generator would take longer than the check
                if name.startswith("dspy_"):
                    return {name: value for name, value in store.items() if not name.startswith("dspy_")}
        return store

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field's value, or `default` if there is no such field."""
        return self._store.get(key, default)

    def copy(self, /, **values: Any) -> Self:
        """Return a copy with some values changed or added."""
        return self._with({**self._store, **values})

    def _with(self, store: dict[str, Any]) -> Self:
        clone = type(self).__new__(type(self))
        object.__setattr__(clone, "_store", store)
        clone.__dict__.update(self.__dict__)
        return clone

    def without(self, *keys: str) -> Self:
        """Return a copy that lacks some fields."""
        clone = self.copy()
        for key in keys:
            if key in clone:
                del clone[key]
        return clone

    def toDict(self) -> dict[str, Any]:  # noqa: N802  DSPy's name
        """Return the fields as a plain dict, nested records and pydantic models included.

        Raises:
            ValueError: A value holds itself, or is nested too deeply.
        """
        try:
            return _plain_fields(self)
        except RecursionError:
            raise ValueError(f"a value of {', '.join(self._store)} {ENDLESS}") from None


def _text(value: Any) -> str:
    try:
        return repr(value)
    except RecursionError:  # an error of the value's class is the caller's
        return value_text(value, None)


class Example(Record):
    """A row of data: named values, of which `with_inputs` says which are a program's inputs.

    `id` names the row in reports; datasets set it, and it is not a field.
    """

    @property
    def id(self) -> str | None:
        """The row's id: the field `id` where there is one, else what the dataset gave it."""
        found = self._store.get("id", self.__dict__.get("_dspex_id"))
        return None if found is None else str(found)

    @property
    def input_keys(self) -> frozenset[str]:
        """The names of the input fields; empty until `with_inputs` has named them."""
        keys: frozenset[str] = self.__dict__.get("_dspex_inputs", frozenset())
        return keys

    def with_inputs(self, *keys: str) -> Self:
        """Return a copy in which the fields named here are the inputs."""
        clone = self.copy()
        clone.__dict__["_dspex_inputs"] = frozenset(keys)
        return clone

    def with_id(self, row_id: str) -> Self:
        """Return a copy that reports call by this id."""
        clone = self.copy()
        clone.__dict__["_dspex_id"] = row_id
        return clone

    def inputs(self) -> Self:
        """Return the part of the example that is input.

        Raises:
            ValueError: `with_inputs` has not been called.
        """
        if "_dspex_inputs" not in self.__dict__:
            message = f"the inputs of {self!r} are not known: call with_inputs('name', ...) on it first"
            raise ValueError(message)
        keys = self.input_keys
        return self._with({key: value for key, value in self._store.items() if key in keys})

    def labels(self) -> Self:
        """Return the part of the example that is not input."""
        return self.without(*self.inputs().keys())


def as_row(values: Record | Mapping[str, Any], row_id: str, *, inputs: frozenset[str] | None = None) -> Example:
    """Return values as an example with this id, and with these inputs unless they are `None`."""
    row = values.copy() if isinstance(values, Example) else Example(values)
    row.__dict__["_dspex_id"] = row_id
    if inputs is not None:
        row.__dict__["_dspex_inputs"] = inputs
    return row


class Completions:
    """The candidates of one call, field by field: `completions.answer[1]`, `completions[1].answer`.

    Args:
        list_or_dict: The candidates, each a mapping; or the candidates of each field by its name.
        signature: The signature that they answer, where it is known.
    """

    __slots__ = ("_columns", "signature")

    def __init__(self, list_or_dict: Candidates, signature: Any = None) -> None:
        self.signature = signature
        columns = list_or_dict if isinstance(list_or_dict, Mapping) else _columns(list_or_dict)
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            message = f"every field needs as many candidates, not {sorted(lengths)}"
            raise ValueError(message)
        self._columns = dict(columns)

    def __getattr__(self, name: str) -> list[Any]:
        if name in Completions.__slots__ or name not in self._columns:
            message = f"the completions have no field {name!r}"
            raise AttributeError(message)
        return self._columns[name]

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        return Prediction(**{name: values[key] for name, values in self._columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), []))

    def __iter__(self) -> Iterator[Prediction]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={values!r}" for name, values in self._columns.items())
        return f"Completions({fields})"

    def items(self) -> ItemsView[str, list[Any]]:
        """Pairs of field name and candidates."""
        return self._columns.items()


Candidates = Sequence[Mapping[str, Any]] | Mapping[str, list[Any]]


def _columns(candidates: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [candidate.get(name) for candidate in candidates] for name in (candidates[0] if candidates else ())}


class Prediction(Record):
    """What a program returns: its output fields, and the other candidates there were.

    A prediction with a field `score` compares as that number.
    """

    @classmethod
    def from_completions(cls, list_or_dict: Candidates, signature: Any = None) -> Prediction:
        """Make a prediction of the first candidate that keeps the others as `completions`.

        The candidates are given as to `Completions`.

        Raises:
            ValueError: There are no candidates.
        """
        if type(list_or_dict) is list and len(list_or_dict) == 1:  # as nearly all calls; the check is cheap
            return cls(list_or_dict[0])
        completions = Completions(list_or_dict, signature)
        if not len(completions):
            raise ValueError("a prediction needs at least one candidate")
        prediction = completions[0] if cls is Prediction else cls(completions[0])
        prediction.__dict__["_completions"] = completions
        return prediction

    @property
    def completions(self) -> Completions:
        """All candidates, the returned one first."""
        found: Completions | None = self.__dict__.get("_completions")
        return found if found is not None else Completions({name: [value] for name, value in self._store.items()})

    def get_lm_usage(self) -> dict[str, dict[str, int]] | None:
        """Return the tokens of each model that it took, without those of cached calls.

        `None` when nobody counted them: that takes `configure(track_usage=True)`.
        """
        usage: dict[str, dict[str, int]] | None = self.__dict__.get("_lm_usage")
        return usage

    def set_lm_usage(self, value: dict[str, dict[str, int]]) -> None:
        """Note the tokens of each model that it took."""
        self.__dict__["_lm_usage"] = value

    def get_spent(self) -> object:
        """Return what it took, while an evaluation scores it; otherwise `None`."""
        return self.__dict__.get("_spent")

    def set_spent(self, spent: object) -> None:
        """Note what it took; `None` removes the note."""
        self.__dict__["_spent"] = spent
        if spent is None:
            del self.__dict__["_spent"]

    def get_tool_errors(self) -> Sequence[ToolExecutionError]:
        """Return what went wrong with the tools that an agent called, in order; each was an observation, too."""
        errors: Sequence[ToolExecutionError] = self.__dict__.get("_tool_errors", ())
        return errors

    def set_tool_errors(self, errors: Sequence[ToolExecutionError]) -> None:
        """Note what went wrong with tools."""
        self.__dict__["_tool_errors"] = tuple(errors)

    def __float__(self) -> float:
        try:
            return float(self._store["score"])
        except KeyError:
            message = f"{self!r} has no field 'score' to compare by"
            raise ScoreError(message) from None

    def __add__(self, other: SupportsFloat) -> float:
        return float(self) + _number(other)

    __radd__ = __add__

    def __truediv__(self, other: SupportsFloat) -> float:
        return float(self) / _number(other)

    def __rtruediv__(self, other: SupportsFloat) -> float:
        return _number(other) / float(self)

    def __lt__(self, other: SupportsFloat) -> bool:
        return float(self) < _number(other)

    def __le__(self, other: SupportsFloat) -> bool:
        return float(self) <= _number(other)

    def __gt__(self, other: SupportsFloat) -> bool:
        return float(self) > _number(other)

    def __ge__(self, other: SupportsFloat) -> bool:
        return float(self) >= _number(other)


class ScoreError(ValueError, TypeError):
    """A prediction has no score; `ValueError` as in DSPy, `TypeError` as `float` of what is not a number."""


def _number(value: SupportsFloat) -> float:
    """Return a number or a score.

    Raises:
        TypeError: The value is neither.
    """
    if isinstance(value, str):  # which `float` would read
        raise TypeError(f"a prediction's score compares with numbers, not with {value!r}")
    return float(value)


def _plain_fields(record: Record) -> dict[str, Any]:
    return {key: plain(value) for key, value in record._store.items()}  # noqa: SLF001  of this module


def plain(value: Any) -> Any:
    """Return a value as plain data as far as it has such a form: records and pydantic models become dicts."""
    if isinstance(value, Record):
        return _plain_fields(value) if type(value).toDict is Record.toDict else value.toDict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in in_order(value)]
    if isinstance(value, FunctionTool):
        return str(value)
    dump = getattr(value, "model_dump", None)  # pydantic is not imported here
    return with_ordered_sets(value).model_dump(mode="json") if callable(dump) else value
