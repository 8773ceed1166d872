"""The arguments of a tool: their schemas for a model, and their validation. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.plain.data import to_json
from dspex_core.plain.display import error_text
from dspex_core.plain.reading.annotations import portable
from dspex_core.plain.reading.forgiving import AmbiguousValueError, field_names, fits, forgiven
from dspex_core.plain.reading.moments import check_moments
from dspex_core.signatures import schemas

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Schema = Mapping[str, Any]

_OF_JSON = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list, "object": dict}
_WRAPPERS = ("arguments", "args", "kwargs", "parameters", "input")
_OF_CALLS = {*_WRAPPERS, "name", "tool", "tool_name", "type", "id"}
_WITHOUT_VALUE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Arguments:
    """The named arguments of a tool.

    Args:
        schemas: The JSON schema of each, by name.
        types: The Python type of each, by name.
        required: Arguments that a call must give.
        is_open: Whether it accepts other arguments.
        model: The pydantic model that has them as fields and validates them together.
    """

    schemas: Mapping[str, Schema]
    types: Mapping[str, Any]
    required: frozenset[str] = frozenset()
    is_open: bool = False
    model: type[Any] | None = None

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of all arguments, for a request."""
        required = [name for name in self.schemas if name in self.required]
        return {"type": "object", "properties": dict(self.schemas), "required": required}

    def validated(self, given: Mapping[str, Any]) -> Any:
        """Return the arguments converted to their types, by pydantic's lax rules: a dict, or an instance of the model.

        Raises:
            ValueError: Arguments are invalid; the message lists each problem, for a model.
        """
        from pydantic import ValidationError  # as in _validator

        if not self.is_open and not given.keys() <= self.schemas.keys():
            given = self._without_wrapper(given)
            names = field_names(self.schemas, given)  # those in another case, or with spaces or dashes
            given = {names.get(name, name): value for name, value in given.items()}
        problems = [] if self.is_open else [f"{name!r} is unknown" for name in given if name not in self.schemas]
        taken = given if self.is_open else {name: value for name, value in given.items() if name in self.schemas}
        try:
            value = self._read(taken)
        except ValidationError as error:
            problems = [*_problems(error), *problems]
        except AmbiguousValueError as error:
            problems = [str(error), *problems]
        except Exception as error:  # noqa: BLE001  a user's validator, on a model's values
            problems = [error_text(error), *problems]
        if problems:
            raise ValueError(f"the arguments do not fit: {'; '.join(problems)}. It takes: {self.text()}")
        return value

    def _without_wrapper(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments in a call that a model wrote where only they belong: `{"arguments": {...}}`."""
        inner = [given[name] for name in _WRAPPERS if name in given]
        is_call = len(inner) == 1 and isinstance(inner[0], Mapping) and given.keys() <= _OF_CALLS
        return inner[0] if is_call and not any(name in self.schemas for name in given) else given

    def _read(self, taken: Mapping[str, Any]) -> Any:
        """Return arguments converted to their types, leniently if strict validation fails."""
        for name, value in taken.items():
            check_moments(self.types.get(name, Any), value)
        try:
            return self._validator.validate_python(taken)
        except ValueError:
            meant = forgiven(self.model, taken) if self.model is not None else self._forgiven(taken)
            if meant is taken:
                raise
            return self._validator.validate_python(meant)

    def _forgiven(self, taken: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return arguments read leniently; null means the default of an argument that does not accept null."""
        found = {name: forgiven(self.types.get(name, Any), value) for name, value in taken.items()}
        unsaid = {name for name, value in found.items() if value is None and self._has_default(name)}
        changed = unsaid or any(found[name] is not value for name, value in taken.items())
        return {name: value for name, value in found.items() if name not in unsaid} if changed else taken

    def _has_default(self, name: str) -> bool:
        return name in self.types and name not in self.required and not fits(self.types[name], None)

    def text(self) -> str:
        """Describe each argument in a few words: `query (str): what to look for; limit (int, 3 by default)`."""
        return "; ".join(map(self._described, self.schemas)) or "nothing"

    def with_given(
        self,
        schemas: Mapping[str, Schema] | None,
        types: Mapping[str, Any] | None,
        words: Mapping[str, str] | None,
    ) -> Arguments:
        """Return the arguments with a user's overrides: all schemas, some types, some descriptions."""
        shown = dict(self.schemas if schemas is None else schemas)
        for name, description in (words or {}).items():
            if name in shown:
                shown[name] = {**shown[name], "description": description}
        known = {**({} if schemas is None else types_of(shown)), **self.types, **(types or {})}
        optional = self.types.keys() - self.required
        required = frozenset(name for name in shown if "default" not in shown[name] and name not in optional)
        return replace(self, schemas=shown, types={name: known[name] for name in shown}, required=required)

    def _described(self, name: str) -> str:
        schema = self.schemas[name]
        kind = schemas.describe(schema)
        if name not in self.required:
            kind += f", {schema['default']!r} by default" if schema.get("default") is not None else ", optional"
        words = " ".join(str(schema.get("description", "")).split())
        return f"{name} ({kind}){words and f': {words}'}"

    @cached_property
    def _validator(self) -> TypeAdapter[Any]:
        import pydantic  # heavy, not needed before the first call
        from typing_extensions import TypedDict  # a dependency of pydantic, which requires it on Python 3.11

        if self.model is not None:
            return pydantic.TypeAdapter(self.model)
        fields = {
            name: typing.Required[portable(kind)] if name in self.required else typing.NotRequired[portable(kind)]
            for name, kind in self.types.items()
        }
        config = pydantic.with_config(pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True))
        taken: Any = TypedDict("taken", fields)  # type: ignore[misc]  # known at run time only
        return pydantic.TypeAdapter(config(taken))


def of_function(function: Callable[..., Any]) -> Arguments:
    """Read the arguments of a function from its signature.

    Raises:
        ConfigurationError: The function has no signature, or a type in it cannot be found.
    """
    try:
        parameters = inspect.signature(function).parameters
        hints = typing.get_type_hints(_annotated(function), include_extras=True)
    except (ValueError, TypeError, NameError) as error:
        message = (
            f"{function!r} cannot be a tool: {error}. Its types must be found where it is defined (not under "
            "TYPE_CHECKING); or wrap it in a function with type hints"
        )
        raise ConfigurationError(message) from error
    named = {name: found for name, found in parameters.items() if found.kind not in _WITHOUT_VALUE}
    if any(found.kind is inspect.Parameter.POSITIONAL_ONLY for found in named.values()):
        message = f"{function!r} cannot be a tool: tools are called with named arguments; wrap it in a function"
        raise ConfigurationError(message)
    defaults = {name: found.default for name, found in named.items() if found.default is not inspect.Parameter.empty}
    is_open = any(found.kind is inspect.Parameter.VAR_KEYWORD for found in parameters.values())
    return of_types({name: hints.get(name, Any) for name in named}, defaults, is_open=is_open)


def of_types(types: Mapping[str, Any], defaults: Mapping[str, Any], *, is_open: bool = False) -> Arguments:
    """Make arguments of types by name; those with a default are optional."""
    shown = {name: _schema(kind) for name, kind in types.items()}
    for name, default in defaults.items():
        shown[name] = {**shown[name], "default": to_json(default)}
    return Arguments(shown, types, frozenset(types) - defaults.keys(), is_open)


def of_model(model: type[Any]) -> Arguments:
    """Read the arguments of a pydantic model from its schema."""
    return replace(of_schema(model.model_json_schema()), model=model)


def of_schema(schema: Schema) -> Arguments:
    """Read the arguments of a tool from their JSON schema, an object."""
    shown = resolved(schema).get("properties", {})
    is_open = bool(schema.get("additionalProperties"))
    return Arguments(shown, types_of(shown), frozenset(schema.get("required", ())), is_open)


def convert_input_schema_to_tool_args(
    schema: Schema,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return `args`, `arg_types` and `arg_desc` of a `Tool` for the JSON schema of its arguments, an object."""
    found = of_schema(schema)
    words = {name: part.get("description", "No description provided.") for name, part in found.schemas.items()}
    required = {name: f"{text} (Required)" if name in found.required else text for name, text in words.items()}
    return dict(found.schemas), dict(found.types), required


def types_of(shown: Mapping[str, Schema]) -> dict[str, Any]:
    """Return the Python type of each argument whose JSON schema has a simple type."""
    return {name: _type_of(schema) for name, schema in shown.items()}


def resolved(schema: Schema) -> dict[str, Any]:
    """Return a JSON schema without references; the inner schema of a recursive type is any object."""
    shared = {**schema.get("definitions", {}), **schema.get("$defs", {})}

    def expand(part: Any, within: tuple[str, ...]) -> Any:
        if isinstance(part, list):
            return [expand(item, within) for item in part]
        if not isinstance(part, Mapping):
            return part
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name in within:
            return {"type": "object"}
        rest = {key: expand(value, within) for key, value in part.items() if key not in ("$ref", "$defs")}
        return {**expand(shared[name], (*within, name)), **rest} if name in shared else rest

    expanded: dict[str, Any] = expand(schema, ())
    return expanded


def _type_of(schema: Schema) -> Any:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return Literal[tuple(schema["enum"])]
    kind = schema.get("type")
    return _OF_JSON.get(kind, Any) if isinstance(kind, str) else Any


def _schema(kind: Any) -> dict[str, Any]:
    import pydantic  # heavy, not needed before the first tool

    try:
        return resolved(pydantic.TypeAdapter(portable(kind)).json_schema())
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticInvalidForJsonSchema) as error:
        if isinstance(error, pydantic.errors.PydanticUserError) and error.code == "typed-dict-version":
            message = f"a tool cannot take {kind!r}: {error.message}"  # it would fail at each call
            raise ConfigurationError(message) from error
        return {}  # such as a connection with a default: a model cannot write one


def _annotated(function: Any) -> Any:
    """Return the object with the annotations: the function inside a partial, the `__call__` of an object."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, type):
        return function.__init__  # type: ignore[misc]  # that of this class is meant
    return function if inspect.isroutine(function) else type(function).__call__


def _shown(value: Any) -> str:
    try:
        return repr(value)[:100]
    except RecursionError:  # lists in lists, thousands deep
        return f"a {type(value).__name__} that is nested too deeply"


def _problems(error: Any) -> list[str]:
    """Describe the problem of each invalid argument."""
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        name = ".".join(map(str, detail["loc"]))
        if detail["type"] == "missing":
            problems.append(f"{name!r} is missing")
        else:
            what = f"{name!r}: " if name else ""
            problems.append(f"{what}{detail['msg']}, not {_shown(detail['input'])}")
    return problems
