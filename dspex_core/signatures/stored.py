"""A whole signature as JSON data, types included. PYTEST_DONT_REWRITE

{
  "name": "Extract",
  "instructions": "Find the people in the text.",
  "fields": {"people": {"input": false, "type": "list[my_app.Person]", "desc": "", ...}},
  "types": {"my_app.Person": "my_app:Person"}
}
"""

from __future__ import annotations

import builtins
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from dspex_core.errors import ArtifactError, SignatureError
from dspex_core.signatures.signature import MISSING, InputField, OutputField, make_signature
from dspex_core.signatures.string import OnlyThese, parse_type
from dspex_core.storage.class_paths import class_path

if TYPE_CHECKING:
    from dspex_core.signatures.signature import Signature, SignatureField


def signature_to_json(signature: type[Signature]) -> dict[str, Any]:
    """Return a signature as JSON data.

    Raises:
        ArtifactError: A type cannot be named; `problems` lists each.
    """
    paths: dict[str, str] = {}
    fields, problems = {}, []
    for name, field in signature.fields.items():
        try:
            fields[name] = _field_to_json(field, paths)
        except ArtifactError as error:
            problems.append(f"the type of {name!r} cannot be stored: {error.reason}")
    if problems:
        raise ArtifactError(f"{signature!r} cannot be stored", problems=problems)
    return {
        "name": signature.__name__,
        "instructions": signature.instructions,
        "fields": fields,
        "types": paths,
    }


def signature_from_json(stored: Any, find: Callable[[str], type]) -> type[Signature]:
    """Return the signature that `signature_to_json` stored.

    Args:
        stored: The JSON data.
        find: Returns the class that a path names, or raises an ArtifactError.

    Raises:
        ArtifactError: The data is damaged, or a type cannot be found.
    """
    match stored:
        case {
            "name": str(name),
            "instructions": str(words),
            "fields": Mapping() as fields,
            "types": Mapping() as paths,
        }:
            named = {text: find(path) for text, path in paths.items()}
            try:
                return make_signature({key: _field(field, named) for key, field in fields.items()}, words, name)
            except (SignatureError, KeyError, TypeError) as error:
                raise ArtifactError(f"it has a damaged signature: {error!r}") from error
    raise ArtifactError(f"it has a damaged signature: {stored!r}")


def _field_to_json(field: SignatureField, paths: dict[str, str]) -> dict[str, Any]:
    stored = {
        "input": field.is_input,
        "type": _written(field.annotation, paths),
        "desc": field.desc,
        "prefix": field.prefix,
        "constraints": dict(field.constraints),
        **({"choices": list(field.choices)} if field.choices else {}),
    }
    if field.default_factory is not None:
        return {**stored, "default_factory": _factory_name(field.default_factory)}
    return stored if field.default is MISSING else {**stored, "default": field.default}


def _factory_name(factory: Callable[[], Any]) -> str:
    """Return the name of a factory that is a type of Python's own.

    Raises:
        ArtifactError: The factory is not such a type.
    """
    name = factory.__name__ if isinstance(factory, type) else ""
    if vars(builtins).get(name) is not factory:
        raise ArtifactError(f"only types such as list and dict are stored as a default_factory, not {factory!r}")
    return name


def _field(stored: Mapping[str, Any], named: Mapping[str, type]) -> tuple[Any, SignatureField]:
    declare = InputField if stored["input"] else OutputField
    field = declare(
        desc=stored["desc"],
        prefix=stored["prefix"],
        default=stored.get("default", MISSING),
        default_factory=_factory(stored.get("default_factory")),
        choices=stored.get("choices", ()),
        **stored["constraints"],
    )
    return parse_type(stored["type"], OnlyThese(named)), field


def _factory(name: str | None) -> Callable[[], Any] | None:
    found = vars(builtins).get(name) if name is not None else None
    return found if isinstance(found, type) else None


def _written(type_: Any, paths: dict[str, str]) -> str:
    """Write a type as the string form of signatures has it; classes that this form does not know go into `paths`."""
    origin, parameters = typing.get_origin(type_), typing.get_args(type_)
    if type_ in (None, types.NoneType, ..., Any):
        return {Any: "Any", ...: "..."}.get(type_, "None")
    if origin is Literal and all(type(value) in (str, int, bool, bytes, types.NoneType) for value in parameters):
        return f"Literal[{', '.join(map(repr, parameters))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(_written(parameter, paths) for parameter in parameters)
    if origin is Annotated:
        raise ArtifactError(f"{type_!r} is more than the type")
    if isinstance(origin, type) and (parameters or origin is not tuple):
        inner = ", ".join(_written(parameter, paths) for parameter in parameters)
        return f"{_class(origin, paths)}[{inner}]" if inner else _class(origin, paths)
    if isinstance(type_, type):
        return _class(type_, paths)
    raise ArtifactError(f"{type_!r} has no name")


def _class(cls: type, paths: dict[str, str]) -> str:
    name = cls.__name__
    if vars(builtins).get(name) is cls:
        return name
    if cls.__module__ == "collections.abc":
        return f"typing.{name}"
    path = class_path(cls)
    text = path.replace(":", ".")
    paths[text] = path
    return text
