"""Signatures: the inputs and outputs of one task for a language model, with instructions. PYTEST_DONT_REWRITE

Three ways to write one:

    class Classify(Signature):
        \"\"\"Classify the sentiment of the text.\"\"\"

        text: str = InputField()
        label: Literal["good", "bad"] = OutputField(desc="the writer's mood")

    Signature("text -> label: Literal['good', 'bad']", "Classify the sentiment of the text.")
    Signature({"text": InputField(), "label": (Literal["good", "bad"], OutputField())})

A signature is a class that is never instantiated, and it never changes: methods that change
something return a new one. Values are checked by pydantic, built when first needed.
"""

from __future__ import annotations

import inspect
import keyword
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from dspex_core import schemas
from dspex_core.content import (
    EarlierTurns,
    FunctionCalls,
    FunctionTool,
    ModelReasoning,
    PromptValue,
    classes_in,
)
from dspex_core.errors import SignatureError, UndeclaredFieldError
from dspex_core.signature_string import parse_signature

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING  # told apart from None, which is a fine default

_CONSTRAINTS = (
    *("allow_inf_nan", "decimal_places", "ge", "gt", "le", "lt", "max_digits", "max_length", "min_length"),
    *("multiple_of", "pattern", "strict"),
)


@dataclass(frozen=True)
class SignatureField:
    """One input or output.

    Args:
        is_input: Whether it is given to the model or asked of it.
        name: Its name in the signature; empty until the field is part of one.
        annotation: Its type.
        desc: What it means, for the prompt.
        prefix: Its label in words.
        constraints: Limits by pydantic's names: `ge`, `max_length`, `pattern`, ...
        default: The value where none is given, or `MISSING`.
    """

    is_input: bool
    name: str = ""
    annotation: Any = dataclass_field(default=str, hash=False)
    desc: str = ""
    prefix: str = ""
    constraints: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)
    default: Any = dataclass_field(default=MISSING, hash=False)

    @cached_property
    def type_adapter(self) -> TypeAdapter[Any]:
        """The pydantic adapter of the type with its constraints, made when first needed."""
        import pydantic  # heavy; not needed before the first value is checked
        import pydantic_core

        constrained: Any = Annotated[self.annotation, pydantic.Field(**self.constraints)]
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
    def is_text(self) -> bool:
        """Whether a model writes it as plain text, which is never read as JSON."""
        kind = self.annotation
        return kind is str or (isinstance(kind, type) and issubclass(kind, PromptValue) and kind.is_text)

    @cached_property
    def shows_itself(self) -> bool:
        """Whether its values say how they appear in a prompt: an image, a list of images, `Image | None`, ..."""
        return any(issubclass(kind, PromptValue) for kind in classes_in(self.annotation))

    @cached_property
    def meaning(self) -> str:
        """What it means, for the prompt: its description, and those of the types that describe themselves."""
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
        """Whether it is what the model may call: an input of the type `Tool` or `list[Tool]`."""
        return self.is_input and any(issubclass(kind, FunctionTool) for kind in classes_in(self.annotation))

    @cached_property
    def is_tool_calls(self) -> bool:
        """Whether it is what the model wants called: an output of the type `ToolCalls`."""
        return not self.is_input and any(issubclass(kind, FunctionCalls) for kind in classes_in(self.annotation))

    @cached_property
    def takes_none(self) -> bool:
        """Whether `None` is one of its values; elsewhere it says that there is none."""
        try:
            return self.validate(None) is None
        except ValueError:
            return False

    def validate(self, value: Any) -> Any:
        """Return the value as the field's type, by pydantic's lax rules.

        Raises:
            ValueError: It does not fit; a pydantic.ValidationError where pydantic says so.
        """
        try:
            return self.type_adapter.validate_python(value)
        except TypeError as error:  # pydantic's for a constraint that does not suit the value's type
            raise SignatureError(f"field {self.name!r} cannot be checked: {error}") from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the type with its constraints.

        Raises:
            SignatureError: The type has no JSON form.
        """
        import pydantic  # as in type_adapter

        try:
            return self.type_adapter.json_schema()
        except pydantic.errors.PydanticInvalidForJsonSchema as error:
            raise SignatureError(f"the type of field {self.name!r} has no JSON form: {error}") from error

    def type_text(self) -> str:
        """Return the type and its constraints in a few words, for prompts: `int, at least 0`."""
        return self._type_text

    def updated(self, values: Mapping[str, Any]) -> SignatureField:
        """Return the field with other attributes or constraints."""
        own = {key: value for key, value in values.items() if key in ("desc", "prefix", "default")}
        limits = {key: value for key, value in values.items() if key not in own}
        unknown = sorted(set(limits) - set(_CONSTRAINTS))
        if unknown:
            known = ", ".join(["desc", "prefix", "default", *_CONSTRAINTS])
            raise SignatureError(f"a field has no {', '.join(map(repr, unknown))}; it takes: {known}")
        return replace(self, **own, constraints={**self.constraints, **limits})

    @cached_property
    def _type_text(self) -> str:
        import pydantic  # as in type_adapter

        adapter = self.type_adapter
        try:
            return schemas.describe(adapter.json_schema())
        except pydantic.errors.PydanticInvalidForJsonSchema:
            return inspect.formatannotation(self.annotation)


FieldSpec = SignatureField | tuple[Any, SignatureField]
Fields = Mapping[str, SignatureField]


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
        raise SignatureError(f"one of the fields {_quoted(fields)} has a type without a JSON form: {error}") from error
    return {"type": "object", "properties": {name: properties[name, mode] for name in fields}, **shared}


def InputField(  # noqa: N802  DSPy's name
    *, desc: str = "", prefix: str = "", default: Any = MISSING, **constraints: Any
) -> Any:
    """Declare an input; constraints are pydantic's: `ge`, `max_length`, `pattern`, ..."""
    return SignatureField(is_input=True).updated({"desc": desc, "prefix": prefix, "default": default, **constraints})


def OutputField(  # noqa: N802  DSPy's name
    *, desc: str = "", prefix: str = "", default: Any = MISSING, **constraints: Any
) -> Any:
    """Declare an output; constraints are pydantic's: `ge`, `max_length`, `pattern`, ..."""
    return SignatureField(is_input=False).updated({"desc": desc, "prefix": prefix, "default": default, **constraints})


class SignatureMeta(type):
    """What every signature class can do."""

    _instructions: str | None  # None: said by the fields themselves
    _fields: Fields
    _inputs: Fields
    _outputs: Fields

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, fields: Fields | None = None
    ) -> SignatureMeta:
        """Make a signature of a class body, or of `fields` that are complete."""
        declared = {key: value for key, value in namespace.items() if isinstance(value, SignatureField)}
        body = {key: value for key, value in namespace.items() if key not in declared}
        cls = super().__new__(mcs, name, bases, body)
        found = _class_fields(cls, declared) if fields is None else fields
        inputs = {name: field for name, field in found.items() if field.is_input}
        outputs = {name: field for name, field in found.items() if not field.is_input}
        cls._inputs, cls._outputs = MappingProxyType(inputs), MappingProxyType(outputs)
        cls._fields = MappingProxyType({**inputs, **outputs})
        cls._instructions = _class_instructions(cls)
        return cls

    def __call__(
        cls,
        signature: str | Mapping[str, FieldSpec],
        instructions: str | None = None,
        *,
        types: Mapping[str, Any] | None = None,
        custom_types: Mapping[str, Any] | None = None,
    ) -> type[Signature]:
        """Make a new signature of a string or of fields by name; `custom_types` is DSPy's name for `types`."""
        if cls is not Signature:
            raise SignatureError(f"{cls!r} has no instances: give the class to Predict and call that")
        return make_signature(signature, instructions, custom_types=types or custom_types)

    def __repr__(cls) -> str:
        return f"{cls.__name__}({cls.signature})"

    @property
    def instructions(cls) -> str:
        """What the model is asked to do; where nobody has said, a sentence with the fields' names."""
        if cls._instructions is not None:
            return cls._instructions
        given = f"Given {_quoted(cls._inputs)}, produce" if cls._inputs else "Produce"
        return f"{given} {_quoted(cls._outputs)}."

    @property
    def signature(cls) -> str:
        """The names of the fields in the string form: `"question, context -> answer"`."""
        return f"{', '.join(cls._inputs)} -> {', '.join(cls._outputs)}"

    @property
    def fields(cls) -> Fields:
        """All fields by name, inputs first."""
        return cls._fields

    @property
    def input_fields(cls) -> Fields:
        """The inputs by name."""
        return cls._inputs

    @property
    def output_fields(cls) -> Fields:
        """The outputs by name."""
        return cls._outputs

    def with_instructions(cls, instructions: str) -> type[Signature]:
        """Return the signature with other instructions."""
        return _derived(cls, cls._fields, instructions)

    def with_updated_fields(cls, name: str, type_: Any = None, **values: Any) -> type[Signature]:
        """Return the signature with one field changed: its type, `desc`, `prefix`, `default` or constraints."""
        if name not in cls._fields:
            raise SignatureError(f"{cls!r} has no field {name!r}")
        field = cls._fields[name].updated(values)
        changed = field if type_ is None else replace(field, annotation=type_)
        return _derived(cls, {**cls._fields, name: changed}, cls._instructions)

    def prepend(cls, name: str, field: SignatureField, type_: Any = None) -> type[Signature]:
        """Return the signature with a field more, first among the inputs or the outputs."""
        return cls.insert(0, name, field, type_)

    def append(cls, name: str, field: SignatureField, type_: Any = None) -> type[Signature]:
        """Return the signature with a field more, last among the inputs or the outputs."""
        return cls.insert(-1, name, field, type_)

    def insert(cls, index: int, name: str, field: SignatureField, type_: Any = None) -> type[Signature]:
        """Return the signature with a field more, at `index` among the inputs or the outputs; -1 is the end."""
        if name in cls._fields:
            raise SignatureError(f"{cls!r} already has a field {name!r}; change it with with_updated_fields")
        group = list((cls._inputs if field.is_input else cls._outputs).items())
        position = index + len(group) + 1 if index < 0 else index
        if not 0 <= position <= len(group):
            raise SignatureError(f"cannot insert {name!r} at {index}: {cls!r} has {len(group)} fields of that kind")
        group.insert(position, (name, _named(name, field, type_)))
        others = cls._outputs if field.is_input else cls._inputs
        return _derived(cls, {**dict(group), **others}, cls._instructions)

    def delete(cls, name: str) -> type[Signature]:
        """Return the signature without a field; as in DSPy, a field that it does not have is no error."""
        kept = {key: field for key, field in cls._fields.items() if key != name}
        return _derived(cls, kept, cls._instructions)

    def equals(cls, other: object) -> bool:
        """Whether the other signature has the same instructions and the same fields in the same order."""
        return (
            isinstance(other, SignatureMeta)
            and cls.instructions == other.instructions
            and list(cls._fields.values()) == list(other._fields.values())
        )

    def dump_state(cls) -> dict[str, Any]:
        """Return what optimizers may change, as JSON data: the instructions and the fields' words by name."""
        fields = {name: {"desc": field.desc, "prefix": field.prefix} for name, field in cls._fields.items()}
        return {"instructions": cls.instructions, "fields": fields}

    def load_state(cls, state: Mapping[str, Any]) -> type[Signature]:
        """Return the signature with the state of `dump_state`.

        Raises:
            SignatureError: The state is of another signature; the message lists each difference.
        """
        words = _checked_state(cls, state)
        fields = {name: replace(field, **words[name]) for name, field in cls._fields.items()}
        return _derived(cls, fields, state["instructions"])


def _class_fields(cls: type, declared: Fields) -> Fields:
    inherited: dict[str, SignatureField] = {}
    for base in reversed(cls.__bases__):
        if isinstance(base, SignatureMeta):
            inherited.update(base.fields)
    annotations = _annotations(cls)
    bare = sorted(set(annotations) - set(declared))
    if bare:
        raise UndeclaredFieldError(
            f"{', '.join(map(repr, bare))} of {cls.__name__} must be declared: = InputField() or = OutputField()"
        )
    own = {name: _named(name, field, annotations.get(name)) for name, field in declared.items()}
    return {**inherited, **own}


def _annotations(cls: type) -> dict[str, Any]:
    try:
        own = inspect.get_annotations(cls)
        hints = typing.get_type_hints(cls, include_extras=True) if own else {}
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise SignatureError(
            f"a type of {cls.__name__} cannot be resolved in module {cls.__module__!r}: {error}. Define or import it "
            f"at module level (not under TYPE_CHECKING), or remove `from __future__ import annotations`, "
            f"or write Signature({{name: (type, InputField()), ...}})"
        ) from error
    return {name: hints[name] for name in own}


def _class_instructions(cls: type) -> str | None:
    """Return the docstring, else what the nearest base was told."""
    if cls.__doc__:
        return inspect.cleandoc(cls.__doc__)
    for base in cls.__bases__:
        if isinstance(base, SignatureMeta) and base.fields:
            return base._instructions  # noqa: SLF001  its own kind, one level up
    return None


def _from_mapping(specs: Mapping[str, FieldSpec]) -> Fields:
    fields = {}
    for name, spec in specs.items():
        match spec:
            case SignatureField():
                fields[name] = _named(name, spec)
            case (type_, SignatureField() as field):
                fields[name] = _named(name, field, type_)
            case _:
                message = f"field {name!r} must be InputField(), OutputField() or (type, InputField()), not {spec!r}"
                raise SignatureError(message)
    return fields


def _from_string(text: str, types: Mapping[str, Any] | None) -> Fields:
    inputs, outputs = parse_signature(text, types or {})
    return {
        **{name: _named(name, SignatureField(is_input=True), type_) for name, type_ in inputs.items()},
        **{name: _named(name, SignatureField(is_input=False), type_) for name, type_ in outputs.items()},
    }


def _named(name: str, field: SignatureField, type_: Any = None) -> SignatureField:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        message = f"{name!r} is no name for a field: it must be a Python identifier without a leading underscore"
        raise SignatureError(message)
    if name == "self":
        raise SignatureError("a field cannot be named 'self': programs are called with their inputs by name")
    annotation = field.annotation if type_ is None else type_
    return replace(field, name=name, annotation=annotation, prefix=field.prefix or label(name))


def label(name: str) -> str:
    """Turn a field's name into the prefix it has where none is declared: `maxItemCount_2` into `Max Item Count 2:`."""
    words = re.findall(r"[^\W\d_a-z]+(?![a-z])|[^\W\d_]?[^\W\d_A-Z]*|\d+", name)
    return " ".join(word[0].upper() + word[1:] for word in words if word) + ":"


def _checked_state(cls: SignatureMeta, state: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    fields = state.get("fields")
    if not isinstance(state.get("instructions"), str) or not isinstance(fields, Mapping):
        raise SignatureError(f"a state of {cls!r} has 'instructions' (a string) and 'fields' (a mapping by name)")
    problems = [f"the state lacks the field {name!r}" for name in cls.fields if name not in fields]
    problems += [f"the state has an unknown field {name!r}" for name in fields if name not in cls.fields]
    if problems:
        raise SignatureError(f"the state does not fit {cls!r}: {'; '.join(problems)}")
    return {name: {key: words[key] for key in ("desc", "prefix") if key in words} for name, words in fields.items()}


class Signature(metaclass=SignatureMeta):
    """Base class of all signatures; called with a string or a mapping of fields, it makes a new one."""

    if TYPE_CHECKING:

        def __new__(  # type: ignore[misc]  # what the metaclass's call returns, as type checkers understand it
            cls,
            signature: str | Mapping[str, FieldSpec],
            instructions: str | None = None,
            *,
            types: Mapping[str, Any] | None = None,
            custom_types: Mapping[str, Any] | None = None,
        ) -> type[Signature]:
            """Make a new signature; see `make_signature`."""


def make_signature(
    signature: str | Mapping[str, FieldSpec],
    instructions: str | None = None,
    signature_name: str = "StringSignature",
    *,
    custom_types: Mapping[str, Any] | None = None,
) -> type[Signature]:
    """Make a signature.

    Args:
        signature: Such as `"question, context: list[str] -> answer: int"`, or fields by name,
            each as `InputField()` (a str) or `(type, InputField())`; outputs may be appended later.
        instructions: What the model is asked to do.
        signature_name: The name of the class.
        custom_types: Types by the names under which the string uses them, beside those of
            builtins and typing.

    Raises:
        SignatureError: The string or a field cannot be understood.
    """
    if not isinstance(signature, str):
        return _made(signature_name, _from_mapping(signature), instructions)
    fields = _from_string(signature, custom_types)
    if all(field.is_input for field in fields.values()):
        message = f"the signature {signature!r} has no output; name one after the arrow: 'question -> answer'"
        raise SignatureError(message)
    return _made(signature_name, fields, instructions)


def ensure_signature(signature: str | type[Signature], instructions: str | None = None) -> type[Signature]:
    """Return the signature itself, or the one that the string describes."""
    if isinstance(signature, str):
        return make_signature(signature, instructions)
    if not isinstance(signature, SignatureMeta):
        raise SignatureError(f"expected a signature class or a string such as 'question -> answer', not {signature!r}")
    if instructions is not None:
        raise SignatureError(f"{signature!r} has instructions already; change them with with_instructions")
    return signature


def _made(name: str, fields: Fields, instructions: str | None) -> type[Signature]:
    namespace = {"__doc__": instructions, "__module__": __name__}
    made: Any = SignatureMeta(name, (Signature,), namespace, fields=fields)
    return made  # type: ignore[no-any-return]  # a class made by a call of its metaclass has no static type


def _derived(cls: SignatureMeta, fields: Fields, instructions: str | None) -> type[Signature]:
    return _made(cls.__name__, fields, instructions)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
