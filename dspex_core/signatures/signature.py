"""Signatures: the inputs and outputs of one task for a language model, with instructions. PYTEST_DONT_REWRITE

Three ways to write one:

    class Classify(Signature):
        \"\"\"Classify the sentiment of the text.\"\"\"

        text: str = InputField()
        label: Literal["good", "bad"] = OutputField(desc="the writer's mood")

    Signature("text -> label: Literal['good', 'bad']", "Classify the sentiment of the text.")
    Signature({"text": InputField(), "label": (Literal["good", "bad"], OutputField())})

A signature is a class that never changes: methods that change something return a new one. Values are checked by
pydantic, built when first needed. An instance holds a value for each field; programs do not need any.
"""

from __future__ import annotations

import copyreg
import inspect
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, dataclass_transform, overload

from dspex_core.errors import SignatureError
from dspex_core.plain.data import to_json
from dspex_core.signatures.fields import (
    MISSING,
    Fields,
    FieldSpec,
    InputField,
    Missing,
    OutputField,
    SignatureField,
    infer_prefix,
    label,
    object_schema,
    quoted,
)
from dspex_core.signatures.written import from_mapping, from_string, named, own_fields

__all__ = [
    "MISSING",
    "InputField",
    "Missing",
    "OutputField",
    "Signature",
    "SignatureField",
    "SignatureMeta",
    "ensure_signature",
    "infer_prefix",
    "label",
    "make_signature",
    "object_schema",
]


class SignatureMeta(type):
    """The methods of every signature class."""

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
        for field in cls._fields.values():
            if field.choices:
                field.check_choices()
        cls._instructions = _class_instructions(cls)
        return cls

    if not TYPE_CHECKING:  # type checkers read it off `Signature.__new__`

        def __call__(cls, /, *args: Any, **values: Any) -> Any:
            """Make a new signature of a string or of fields by name (`make_signature`); of a subclass, an instance.

            `types` and `custom_types` (DSPy's name) are types by the names that a string has for them.
            """
            if cls is not Signature:
                return super().__call__(*args, **values)
            types = values.pop("types", None)
            return make_signature(*args, **{"custom_types": types, **values} if types else values)

    def __repr__(cls) -> str:
        return f"{cls.__name__}({cls.signature})"

    @property
    def instructions(cls) -> str:
        """The instructions for the model; by default, a sentence with the fields' names."""
        if cls._instructions is not None:
            return cls._instructions
        given = f"Given {quoted(cls._inputs)}, produce" if cls._inputs else "Produce"
        return f"{given} {quoted(cls._outputs)}."

    @property
    def signature(cls) -> str:
        """The names of the fields in the string form: `"question, context -> answer"`."""
        return f"{', '.join(cls._inputs)} -> {', '.join(cls._outputs)}"

    @property
    def fields(cls) -> Fields:
        """All fields by name, inputs first."""
        return cls._fields

    @property
    def model_fields(cls) -> Fields:
        """All fields by name, as a pydantic model calls them."""
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

    def append_instructions(cls, instructions: str) -> type[Signature]:
        """Return the signature with a paragraph more in its instructions."""
        return cls.with_instructions(f"{cls.instructions}\n\n{instructions.strip()}")

    def with_updated_fields(cls, name: str, type_: Any = None, **values: Any) -> type[Signature]:
        """Return the signature with one field changed: type, `desc`, `prefix`, `default`, `choices` or limits."""
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
        group.insert(position, (name, named(name, field, type_)))
        others = cls._outputs if field.is_input else cls._inputs
        return _derived(cls, {**dict(group), **others}, cls._instructions)

    def delete(cls, name: str) -> type[Signature]:
        """Return the signature without a field; as in DSPy, an unknown field is ignored."""
        kept = {key: field for key, field in cls._fields.items() if key != name}
        return _derived(cls, kept, cls._instructions)

    def equals(cls, other: object) -> bool:
        """Whether the other signature has the same instructions and the same fields in the same order."""
        return (
            isinstance(other, SignatureMeta)
            and cls.instructions == other.instructions
            and list(cls._fields.values()) == list(other._fields.values())
        )

    def model_json_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of the fields, with the `desc` and the `prefix` of each and whether it is an input."""
        schema = object_schema(cls._fields)
        for name, field in cls._fields.items():
            words = {
                "title": name.replace("_", " ").title(),
                "desc": field.desc or f"${{{name}}}",
                "prefix": field.prefix,
            }
            kind = "input" if field.is_input else "output"
            default = {} if field.default is MISSING else {"default": to_json(field.default)}
            schema["properties"][name] |= {**words, **default, "__dspy_field_type": kind}
        schema["required"] = [name for name, field in cls._fields.items() if field.absent is MISSING]
        return {"title": cls.__name__, "description": cls.instructions, **schema}

    def dump_state(cls) -> dict[str, Any]:
        """Return the parts that optimizers may change, as JSON data: the instructions and the fields' words."""
        fields = {name: _words(field) for name, field in cls._fields.items()}
        return {"instructions": cls.instructions, "fields": fields}

    def load_state(cls, state: Mapping[str, Any]) -> type[Signature]:
        """Return the signature with the state of `dump_state`.

        Raises:
            SignatureError: The state is of another signature; the message lists each difference.
        """
        words = _checked_state(cls, state)
        fields = {name: field.updated(words[name]) for name, field in cls._fields.items()}
        return _derived(cls, fields, state["instructions"])


def _words(field: SignatureField) -> dict[str, Any]:
    order = {"choices": list(field.choices)} if field.choices else {}
    return {"desc": field.desc, "prefix": field.prefix, **order}


def _class_fields(cls: type, declared: Fields) -> Fields:
    inherited: dict[str, SignatureField] = {}
    for base in reversed(cls.__bases__):
        if isinstance(base, SignatureMeta):
            inherited.update(base.fields)
    return {**inherited, **own_fields(cls, declared)}


def _class_instructions(cls: type) -> str | None:
    """Return the docstring, else the instructions of the nearest base."""
    if cls.__doc__:
        return inspect.cleandoc(cls.__doc__)
    for base in cls.__bases__:
        if isinstance(base, SignatureMeta) and base.fields:
            return base._instructions  # noqa: SLF001  its own kind, one level up
    return None


def _checked_state(cls: SignatureMeta, state: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    fields = state.get("fields")
    if not isinstance(state.get("instructions"), str) or not isinstance(fields, Mapping):
        raise SignatureError(f"a state of {cls!r} has 'instructions' (a string) and 'fields' (a mapping by name)")
    problems = [f"the state lacks the field {name!r}" for name in cls.fields if name not in fields]
    problems += [f"the state has an unknown field {name!r}" for name in fields if name not in cls.fields]
    problems += [f"the field {name!r} has {words!r}" for name, words in fields.items() if not _are_words(words)]
    if problems:
        raise SignatureError(f"the state does not fit {cls!r}: {'; '.join(problems)}")
    kept = ("desc", "prefix", "choices")
    return {name: {key: words[key] for key in kept if key in words} for name, words in fields.items()}


def _are_words(words: Any) -> bool:
    texts = ("desc", "prefix")
    return isinstance(words, Mapping) and all(isinstance(words.get(name, ""), str) for name in texts)


@dataclass_transform(kw_only_default=True, field_specifiers=(InputField, OutputField))
class Signature(metaclass=SignatureMeta):
    """Base class of all signatures; called with a string or a mapping of fields, it makes a new one.

    An instance of a subclass holds values: `Classify(text="...", label="good").label`.
    """

    if TYPE_CHECKING:

        @overload  # what the metaclass's call returns, as type checkers understand it: a signature ...
        def __new__(  # type: ignore[misc]
            cls,
            signature: str | Mapping[str, FieldSpec],
            instructions: str | None = None,
            *,
            types: Mapping[str, Any] | None = None,
            custom_types: Mapping[str, Any] | None = None,
        ) -> type[Signature]: ...

        @overload  # ... or an instance of a subclass
        def __new__(cls, **values: Any) -> Self: ...

        def __new__(cls, *args: Any, **values: Any) -> Any:
            """Make a new signature (see `make_signature`); of a subclass, an instance with a value for each field."""

    else:

        def __init__(self, /, *args: Any, **values: Any) -> None:
            if args:
                message = f"{type(self)!r} takes values by name; a new signature is made by Signature(...)"
                raise SignatureError(message)
            self.__dict__.update(_values(type(self), values))

    def model_dump(self) -> dict[str, Any]:
        """Return the values by the names of their fields."""
        return dict(vars(self))

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return a copy with other values for some fields, which are not checked."""
        clone = object.__new__(type(self))
        clone.__dict__.update({**vars(self), **(update or {})})
        return clone

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # its values can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def _values(cls: SignatureMeta, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for each field, converted to its type.

    Raises:
        SignatureError: Values are missing or do not fit; the message lists each.
    """
    values, problems = {}, []
    for name, field in cls.fields.items():
        value = given.get(name, field.absent)
        if value is MISSING:
            problems.append(f"{name!r} is missing")
            continue
        try:
            values[name] = field.validate(value)
        except ValueError as error:
            problems.append(f"{name!r} does not fit: {error}")
    if problems:
        raise SignatureError(f"an instance of {cls!r} cannot be made: {'; '.join(problems)}")
    return values


def make_signature(
    signature: str | Mapping[str, FieldSpec],
    instructions: str | None = None,
    signature_name: str = "StringSignature",
    custom_types: Mapping[str, Any] | None = None,
) -> type[Signature]:
    """Make a signature.

    Args:
        signature: Such as `"question, context: list[str] -> answer: int"`, or fields by name,
            each as `InputField()` (a str) or `(type, InputField())`; outputs may be appended later.
        instructions: The task of the model.
        signature_name: The name of the class.
        custom_types: Types by the names under which the string uses them, in addition to those of builtins and typing.

    Raises:
        SignatureError: The string or a field cannot be understood.
    """
    if not isinstance(signature, str):
        return _made(signature_name, from_mapping(signature), instructions)
    fields = from_string(signature, custom_types)
    if all(field.is_input for field in fields.values()):
        message = f"the signature {signature!r} has no output; name one after the arrow: 'question -> answer'"
        raise SignatureError(message)
    return _made(signature_name, fields, instructions)


@overload
def ensure_signature(signature: None, instructions: str | None = None) -> None: ...


@overload
def ensure_signature(signature: str | type[Signature], instructions: str | None = None) -> type[Signature]: ...


def ensure_signature(
    signature: str | type[Signature] | None, instructions: str | None = None
) -> type[Signature] | None:
    """Return a signature as it is, or make one of a string; without one, return None."""
    if signature is None:
        return None
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


def _reduced(cls: SignatureMeta) -> str | tuple[Any, ...]:
    """Return a signature's form for pickle: its name if importable, else its content."""
    module = sys.modules.get(cls.__module__)
    if module is not None and vars(module).get(cls.__qualname__) is cls:
        return str(cls.__qualname__)
    return _made, (cls.__name__, dict(cls._fields), cls._instructions)


copyreg.pickle(SignatureMeta, _reduced)
