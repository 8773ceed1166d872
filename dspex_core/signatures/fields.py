"""The fields of signatures: their types, words and constraints. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from enum import Enum
from functools import cached_property
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union

from dspex_core.errors import SignatureError
from dspex_core.plain.data import to_json
from dspex_core.plain.prompt_values import (
    EarlierTurns,
    FunctionCalls,
    FunctionTool,
    ModelReasoning,
    PromptValue,
    classes_in,
)
from dspex_core.plain.reading.annotations import bare_type, is_optional_text, portable
from dspex_core.signatures import schemas

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING  # distinct from None, which is a valid default

_OWN = ("desc", "prefix", "default", "default_factory", "format", "choices")
_CONSTRAINTS = (
    *("allow_inf_nan", "decimal_places", "ge", "gt", "le", "lt", "max_digits", "max_length", "min_length"),
    *("multiple_of", "pattern", "strict"),
)

_LIMITS = {
    "ge": "greater than or equal to",
    "gt": "greater than",
    "le": "less than or equal to",
    "lt": "less than",
    "max_length": "maximum length",
    "min_length": "minimum length",
    "multiple_of": "a multiple of",
}  # in words, under DSPy's key
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which pydantic refuses in a text


@dataclass(frozen=True)
class SignatureField:
    """One input or output.

    Args:
        is_input: Whether it is given to the model or asked of it.
        name: Its name in the signature; empty until the field is part of one.
        annotation: Its type.
        desc: Its description for the prompt.
        prefix: Its label in words.
        constraints: Limits by pydantic's names: `ge`, `max_length`, `pattern`, ...
        default: The default value, or `MISSING`.
        default_factory: Makes the default value.
        format: No effect; accepted for DSPy's code.
        choices: The values of a `Literal` or an `Enum`, as JSON has them, in the order in which prompts show them;
            those not named follow. Small models may well choose by that order.
    """

    is_input: bool
    name: str = ""
    annotation: Any = dataclass_field(default=str, hash=False)
    desc: str = ""
    prefix: str = ""
    constraints: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)
    default: Any = dataclass_field(default=MISSING, hash=False)
    default_factory: Callable[[], Any] | None = dataclass_field(default=None, hash=False)
    format: Any = dataclass_field(default=None, hash=False)
    choices: Sequence[Any] = dataclass_field(default=(), hash=False)

    def __getstate__(self) -> dict[str, Any]:  # without what is made when needed, such as pydantic's adapter
        return {name: value for name, value in vars(self).items() if name in type(self).__dataclass_fields__}

    @property
    def json_schema_extra(self) -> dict[str, Any]:
        """The field's metadata, under the keys of DSPy's fields."""
        desc = self.desc or (self.name and f"${{{self.name}}}")
        limits = ", ".join(f"{_LIMITS.get(key, key)}: {value}" for key, value in self.constraints.items())
        found = {"prefix": self.prefix, "desc": desc, "format": self.format, "constraints": limits}
        kind = "input" if self.is_input else "output"
        return {"__dspy_field_type": kind, **{key: value for key, value in found.items() if value}}

    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.absent is MISSING

    @property
    def absent(self) -> Any:
        """The default or the factory's value; `MISSING` without either."""
        return self.default if self.default_factory is None else self.default_factory()

    @cached_property
    def is_optional(self) -> bool:
        """Whether its type is a union with `None`: then it need not be given."""
        return typing.get_origin(self.annotation) in (Union, UnionType) and NoneType in typing.get_args(self.annotation)

    @cached_property
    def type_adapter(self) -> TypeAdapter[Any]:
        """The pydantic adapter of the type with its constraints, made when first needed."""
        import pydantic  # heavy; not needed before the first value is checked
        import pydantic_core

        constrained: Any = Annotated[portable(self.annotation), pydantic.Field(**self.constraints)]
        try:
            try:
                return pydantic.TypeAdapter(constrained)
            except pydantic.errors.PydanticSchemaGenerationError:
                # Any class may be an input: its values are checked with isinstance.
                return pydantic.TypeAdapter(constrained, config={"arbitrary_types_allowed": True})
        except (pydantic.errors.PydanticUserError, pydantic_core.SchemaError, TypeError) as error:
            message = f"the type {self.annotation!r} of field {self.name!r} cannot be used: {error}"
            raise SignatureError(message) from error

    @cached_property
    def _validated(self) -> Callable[[Any], Any]:
        return self.type_adapter.validator.validate_python  # what the adapter adds is not used, and takes as long again

    @cached_property
    def bare(self) -> Any:
        """The type without `Annotated`, `NewType` and aliases around it."""
        return bare_type(self.annotation)

    @cached_property
    def _is_any_text(self) -> bool:
        """Whether every text fits it, so that pydantic, whose import takes longer than 100 calls, is not needed."""
        return self.annotation is str and not self.constraints

    @cached_property
    def is_optional_text(self) -> bool:
        """Whether it is text or nothing."""
        return is_optional_text(self.annotation)

    @cached_property
    def is_text(self) -> bool:
        """Whether a model writes it as plain text, which is never read as JSON."""
        kind = self.bare
        return kind is str or (isinstance(kind, type) and issubclass(kind, PromptValue) and kind.is_text)

    @cached_property
    def shows_itself(self) -> bool:
        """Whether its values have their own form in prompts: an image, a list of images, `Image | None`, ..."""
        return any(issubclass(kind, PromptValue) for kind in classes_in(self.annotation))

    @cached_property
    def meaning(self) -> str:
        """Its meaning for the prompt: its description, and those of its types."""
        kinds = [kind for kind in classes_in(self.annotation) if issubclass(kind, PromptValue)]
        return " ".join(filter(None, [self.desc, *(kind.description() for kind in kinds)]))

    @cached_property
    def is_history(self) -> bool:
        """Whether it is the earlier turns of a conversation: an input of the type `History`."""
        return self.is_input and any(issubclass(kind, EarlierTurns) for kind in classes_in(self.annotation))

    @cached_property
    def is_reasoning(self) -> bool:
        """Whether it is the model's reasoning: an output of the type `Reasoning`."""
        kinds = classes_in(self.annotation)
        return not self.is_input and any(issubclass(kind, ModelReasoning) for kind in kinds)

    @cached_property
    def is_tools(self) -> bool:
        """Whether it holds the tools that the model may call: an input of the type `Tool` or `list[Tool]`."""
        return self.is_input and any(issubclass(kind, FunctionTool) for kind in classes_in(self.annotation))

    @cached_property
    def is_tool_calls(self) -> bool:
        """Whether it holds the model's tool calls: an output of the type `ToolCalls`."""
        return not self.is_input and any(issubclass(kind, FunctionCalls) for kind in classes_in(self.annotation))

    @cached_property
    def takes_none(self) -> bool:
        """Whether `None` is one of its values; otherwise it means a missing value."""
        try:
            return self.validate(None) is None
        except ValueError:
            return False

    def validate(self, value: Any) -> Any:
        """Return the value converted to the field's type, by pydantic's lax rules.

        Raises:
            ValueError: The value does not fit; a pydantic.ValidationError if pydantic refuses it.
        """
        if self._is_any_text and type(value) is str and (value.isascii() or not _SURROGATE.search(value)):
            return value
        try:
            return self._validated(value)
        except TypeError as error:
            if "constraint" not in str(error):  # raised by a validator, not by pydantic
                raise
            raise SignatureError(f"field {self.name!r} cannot be checked: {error}") from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the type with its constraints.

        Raises:
            SignatureError: The type has no JSON form.
        """
        import pydantic  # as in type_adapter

        try:
            return dict(schemas.with_choices(self.type_adapter.json_schema(), self.choices))
        except pydantic.errors.PydanticInvalidForJsonSchema as error:
            raise SignatureError(f"the type of field {self.name!r} has no JSON form: {error}") from error

    def shown_choices(self) -> list[Any]:
        """Return the values of a `Literal` or an `Enum`, as JSON has them, in the order in which prompts show them.

        Empty if the type has no choices, or no JSON form.
        """
        try:
            return schemas.choices(self.json_schema())
        except SignatureError:
            return []

    def check_choices(self) -> None:
        """Raise SignatureError if `choices` has other values than the type, or one of them twice."""
        known = schemas.choices(replace(self, choices=()).json_schema())
        if not known:
            raise SignatureError(f"{self.name!r} has the choices {list(self.choices)!r}, but its type has none")
        given, possible = list(map(schemas.written, self.choices)), set(map(schemas.written, known))
        if len(set(given)) < len(given) or not possible.issuperset(given):
            message = f"the choices of {self.name!r} are {known!r}, each once in any order, not {list(self.choices)!r}"
            raise SignatureError(message)

    def type_text(self) -> str:
        """Return the type and its constraints in a few words, for prompts: `int, at least 0`."""
        return self._type_text

    def updated(self, values: Mapping[str, Any]) -> SignatureField:
        """Return the field with other attributes or constraints."""
        own = {key: value for key, value in values.items() if key in _OWN}
        if "choices" in own:
            own["choices"] = _ordered(own["choices"])
        limits = {key: value for key, value in values.items() if key not in own}
        unknown = sorted(set(limits) - set(_CONSTRAINTS))
        if unknown:
            known = ", ".join([*_OWN, *_CONSTRAINTS])
            raise SignatureError(f"a field has no {', '.join(map(repr, unknown))}; it takes: {known}")
        return replace(self, **own, constraints={**self.constraints, **limits})

    @cached_property
    def _type_text(self) -> str:
        if self._is_any_text:
            return schemas.describe({"type": "string"})
        import pydantic  # as in type_adapter

        adapter = self.type_adapter
        try:
            return schemas.describe(schemas.with_choices(adapter.json_schema(), self.choices))
        except pydantic.errors.PydanticInvalidForJsonSchema:
            return inspect.formatannotation(self.annotation)


FieldSpec = SignatureField | tuple[Any, SignatureField]
Fields = Mapping[str, SignatureField]


_WITHOUT_ORDER = (str, bytes, set, frozenset, Mapping)


def _ordered(choices: Any) -> tuple[Any, ...]:
    if not isinstance(choices, Iterable) or isinstance(choices, _WITHOUT_ORDER):
        raise SignatureError(f"choices are a list of values, in the order in which they are shown, not {choices!r}")
    try:
        return tuple(map(to_json, choices))
    except ValueError as error:  # it holds itself
        raise SignatureError(f"the choices {choices!r} have no JSON form: {error}") from error


def object_schema(fields: Fields) -> dict[str, Any]:
    """Return the JSON schema of an object that has the fields as its properties.

    Raises:
        SignatureError: A type has no JSON form.
    """
    import pydantic  # as in type_adapter

    mode: Literal["validation"] = "validation"
    try:
        properties, shared = pydantic.TypeAdapter.json_schemas(
            (name, mode, field.type_adapter) for name, field in fields.items()
        )
    except pydantic.errors.PydanticInvalidForJsonSchema as error:
        raise SignatureError(f"one of the fields {quoted(fields)} has a type without a JSON form: {error}") from error
    ordered = {
        name: schemas.with_choices(properties[name, mode], field.choices, shared.get("$defs", {}))
        for name, field in fields.items()
    }
    return {"type": "object", "properties": ordered, **shared}


def InputField(  # noqa: N802  DSPy's name
    *, desc: str = "", prefix: str = "", default: Any = MISSING, **options: Any
) -> Any:
    """Declare an input; more options are `default_factory` and pydantic's constraints: `ge`, `max_length`, ..."""
    return _declared({"desc": desc, "prefix": prefix, "default": default, **options}, is_input=True)


def OutputField(  # noqa: N802  DSPy's name
    *, desc: str = "", prefix: str = "", default: Any = MISSING, **options: Any
) -> Any:
    """Declare an output; more options are `default_factory` and pydantic's constraints: `ge`, `max_length`, ..."""
    return _declared({"desc": desc, "prefix": prefix, "default": default, **options}, is_input=False)


def _declared(options: dict[str, Any], *, is_input: bool) -> SignatureField:
    """Make a field; `description` is pydantic's name for `desc`."""
    description = options.pop("description", "")
    return SignatureField(is_input=is_input).updated({**options, "desc": options["desc"] or description or ""})


def label(name: str) -> str:
    """Turn a field's name into the prefix it has where none is declared: `maxItemCount_2` into `Max Item Count 2:`."""
    words = re.findall(r"[^\W\d_a-z]+(?![a-z])|[^\W\d_]?[^\W\d_A-Z]*|\d+", name)
    return " ".join(word[0].upper() + word[1:] for word in words if word) + ":"


def infer_prefix(attribute_name: str) -> str:
    """Turn a field's name into words: `maxItemCount_2` into `Max Item Count 2`."""
    return label(attribute_name).removesuffix(":")


def quoted(names: Iterable[str]) -> str:
    """Write names as prompts and errors do: `a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)
