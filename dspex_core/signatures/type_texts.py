"""Types as text that is the same in every process and at any place of their modules. PYTEST_DONT_REWRITE

A class stands by its name; what its fields, choices or members are is written once, beside the text:
`list[Person]` with `{"Person": "{name: str, age: int | None}"}`.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from dspex_core.plain.described import described, short_digest
from dspex_core.plain.prompt_values import FunctionTool, PromptValue

_LONGEST = 200  # letters of a default
_OWN = (PromptValue, FunctionTool)  # of this library: their names say it all


class TypeTexts:
    """Writes types; `definitions` has the classes that they name, each once."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self._names: dict[int, str] = {}

    def of(self, type_: Any) -> str:
        """Return the text of a type."""
        if type_ in (None, types.NoneType):
            return "None"
        if type_ is ...:
            return "..."
        if isinstance(type_, str | typing.ForwardRef):
            return type_ if isinstance(type_, str) else type_.__forward_arg__
        origin, parameters = typing.get_origin(type_), typing.get_args(type_)
        if origin is None:
            return self._simple(type_)
        return self._generic(type_, origin, parameters)

    def _simple(self, type_: Any) -> str:
        if isinstance(type_, type):
            return self._class(type_)
        value = getattr(type_, "__value__", None) or getattr(type_, "__supertype__", None)  # an alias, or a NewType
        name = getattr(type_, "__name__", None) or type(type_).__name__
        if value is None or id(type_) in self._names:
            return str(name)
        self._names[id(type_)] = name
        self.definitions[name] = self.of(value)
        return str(name)

    def _generic(self, type_: Any, origin: Any, parameters: tuple[Any, ...]) -> str:
        if origin is Literal:
            return f"Literal[{', '.join(_choice(value) for value in parameters)}]"
        if origin in (Union, types.UnionType):
            return " | ".join(self.of(parameter) for parameter in parameters)
        if origin is Annotated:
            limits = [_limit(limit) for limit in type_.__metadata__]
            return f"Annotated[{', '.join([self.of(parameters[0]), *limits])}]"
        inner = ", ".join(
            f"[{', '.join(map(self.of, each))}]" if isinstance(each, list) else self.of(each) for each in parameters
        )
        return f"{self.of(origin)}[{inner}]"

    def _class(self, cls: type) -> str:
        if id(cls) in self._names:
            return self._names[id(cls)]
        same = sum(name.partition("#")[0] == cls.__name__ for name in self._names.values())
        name = self._names[id(cls)] = f"{cls.__name__}#{same + 1}" if same else cls.__name__
        if not issubclass(cls, _OWN):
            definition = self._definition(cls)
            if definition:
                self.definitions[name] = definition
        return name

    def _definition(self, cls: type) -> str:
        if issubclass(cls, enum.Enum):
            return f"({', '.join(f'{member.name}={_shown(member.value)}' for member in cls)})"
        fields = getattr(cls, "model_fields", None)  # pydantic is not imported here
        if isinstance(fields, Mapping):
            parts = [f"{name}: {self._model_field(field)}" for name, field in fields.items()]
        elif dataclasses.is_dataclass(cls) or hasattr(cls, "_fields") or typing.is_typeddict(cls):
            parts = [f"{name}: {self.of(hint)}" for name, hint in _hints(cls).items()]
        else:
            return ""
        return f"{{{', '.join(parts)}}}"

    def _model_field(self, field: Any) -> str:
        words = [self.of(field.annotation), *map(_limit, field.metadata)]
        words += [f"alias {field.alias}"] if field.alias else []
        words += [] if field.is_required() else [f"= {_shown(field.get_default())}"]
        words += [f"({field.description})"] if field.description else []
        return " ".join(words)


def _hints(cls: type) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        found: Mapping[str, Any] = getattr(cls, "__annotations__", {})
        return found


def _choice(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


def _limit(limit: Any) -> str:
    """Return the text of what stands beside a type: a limit, a description, a validator."""
    if hasattr(limit, "annotation") and hasattr(limit, "metadata"):  # pydantic's Field(...), whose repr changes
        words = [*map(_limit, limit.metadata), *([f"({limit.description})"] if limit.description else [])]
        return f"Field[{' '.join(words)}]"
    return limit if isinstance(limit, str) else _shown(limit)


def _shown(value: Any) -> str:
    """Return a short text of a value, as stable as its description."""
    data = described(value)
    if isinstance(data, dict) and "class" in data:
        inner = ", ".join(f"{key}={part}" for key, part in data.items() if key != "class" and part is not None)
        return f"{data['class']}({inner})"
    text = repr(data)
    return text if len(text) <= _LONGEST else f"{type(value).__name__} {short_digest(data)}"
