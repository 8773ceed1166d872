"""What a program takes and returns, as JSON data and as values of its types. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import pydantic

from dspex_core.errors import BadInputError, ConfigurationError, ProgramFailedError, SignatureError
from dspex_core.example import Record
from dspex_core.plain.data import to_json
from dspex_core.programs.as_tool import program_signature, written_method
from dspex_core.programs.base import Module
from dspex_core.serve.interface import JSONObject, ServedProgram
from dspex_core.signatures.fields import MISSING, Fields, SignatureField
from dspex_core.signatures.signature import ensure_signature
from dspex_core.tools.arguments import of_function

if TYPE_CHECKING:
    from typing import Literal

    from dspex_core.signatures.signature import Signature

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OPEN: JSONObject = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Contract:
    """The inputs and outputs of one program; made by `contract_of`.

    Args:
        served: What callers know of it.
        inputs: The inputs by name, with their types.
        outputs: The outputs by name; `None` where the program does not say what it returns.
        is_open: Whether it takes inputs of any other names, too.
    """

    served: ServedProgram
    inputs: Fields
    outputs: Fields | None
    is_open: bool = False

    def read(self, given: JSONObject) -> dict[str, Any]:
        """Return JSON data as values of the inputs' types.

        Raises:
            BadInputError: They do not fit; it lists every fault.
        """
        check_object(given)
        values: dict[str, Any] = {}
        faults: list[dict[str, Any]] = []
        for name, field in self.inputs.items():
            if name not in given:
                if field.is_required() and not field.is_optional:
                    faults.append(_fault([name], "missing", "is missing"))
            elif field.annotation is str and not field.constraints and isinstance(given[name], str):
                values[name] = given[name]
            else:
                _read(field, given[name], values, faults)
        others = {name: value for name, value in given.items() if name not in self.inputs}
        if self.is_open:
            values |= others
        else:
            faults += [_fault([name], "unknown", "is not an input") for name in others]
        if faults:
            raise bad_input(faults)
        return values

    def write(self, result: Any) -> dict[str, Any]:
        """Return what the program has returned as JSON data.

        Raises:
            ProgramFailedError: An output is missing, or JSON cannot hold it.
        """
        data = result.toDict() if isinstance(result, Record) else result
        if not isinstance(data, Mapping):
            data = {"result": data}
        if self.outputs is not None:
            missing = [name for name in self.outputs if name not in data]
            if missing:
                raise _unfit(f"it lacks {', '.join(map(repr, missing))}")
            data = {name: data[name] for name in self.outputs}
        written: dict[str, Any] = to_json(data)
        if not _is_finite(written):
            raise _unfit("a number in it is not finite, which JSON cannot hold")
        return written


def describe(
    program: Module, *, name: str | None = None, signature: str | type[Signature] | None = None
) -> ServedProgram:
    """Return what callers may know of a program.

    Args:
        program: A built-in program, or one with a `forward` whose type hints say what it takes.
        name: Its name in URLs; by default that of its signature or class, such as `triage` for `Triage`.
        signature: What it takes and returns, where its own signature or its type hints do not say so.

    Raises:
        ConfigurationError: It is not known what it takes, or a value of an input cannot be given as JSON.
    """
    return contract_of(program, name=name, signature=signature).served


def contract_of(
    program: Module, *, name: str | None = None, signature: str | type[Signature] | None = None
) -> Contract:
    """Return the contract of a program; see `describe`."""
    if not isinstance(program, Module):
        message = f"only programs can be served, not {program!r}: call it in the `forward` of a dspex_core.Module"
        raise ConfigurationError(message)
    written = None if signature is not None else written_method(program)
    if written is None:
        task = program_signature(program) if signature is None else ensure_signature(signature)
        inputs, outputs, is_open = task.input_fields, task.output_fields, False
        own, words = task.__name__, task.instructions
    else:
        inputs, is_open = _parameters(program, written)
        outputs, own, words = None, type(program).__name__, cleandoc(type(program).__doc__ or written.__doc__ or "")
    own = type(program).__name__ if own == "StringSignature" else own
    output_schema = _OPEN if outputs is None else _schema(outputs, "serialization")
    input_schema = {**_schema(inputs, "validation"), "additionalProperties": is_open}
    served = ServedProgram(_checked_name(_snake(own) if name is None else name), words, input_schema, output_schema)
    return Contract(served, inputs, outputs, is_open)


def bad_input(faults: list[dict[str, Any]]) -> BadInputError:
    """Return the error that lists the faults of inputs."""
    words = "; ".join(f"{'.'.join(map(str, fault['path'])) or 'the body'} {fault['message']}" for fault in faults)
    return BadInputError(f"the inputs do not fit: {words}", details={"faults": faults})


def check_object(given: Any) -> None:
    """Raise for data that is not a JSON object.

    Raises:
        BadInputError: It is not one.
    """
    if not isinstance(given, Mapping):
        raise bad_input([{"path": [], "type": "object_type", "message": "is not a JSON object"}])


def _parameters(program: Module, written: Any) -> tuple[Fields, bool]:
    """Return the parameters of a user's `forward` as inputs; descriptions are those of the predictors' inputs."""
    try:
        found = of_function(written)
    except ConfigurationError as error:
        raise ConfigurationError(f"{type(program).__name__} cannot be served: {error}") from error
    known = {
        name: field.desc for _, one in program.every_predictor() for name, field in one.signature.input_fields.items()
    }
    fields = {
        name: SignatureField(
            is_input=True,
            name=name,
            annotation=kind,
            desc=known.get(name, ""),
            default=MISSING if name in found.required else found.schemas[name].get("default"),
        )
        for name, kind in found.types.items()
    }
    return fields, found.is_open


def _schema(fields: Fields, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    try:
        properties, shared = pydantic.TypeAdapter.json_schemas(
            [(name, mode, field.type_adapter) for name, field in fields.items()]
        )
    except (pydantic.errors.PydanticInvalidForJsonSchema, SignatureError) as error:
        raise ConfigurationError(f"a value of one of {', '.join(fields)} has no JSON form: {error}") from error
    described = {name: _described(properties[name, mode], field) for name, field in fields.items()}
    required = [name for name, field in fields.items() if mode == "serialization" or _is_required(field)]
    return {"type": "object", "properties": described, "required": required, **shared}


def _described(schema: JSONObject, field: SignatureField) -> dict[str, Any]:
    words = {"description": field.desc} if field.desc else {}
    has_default = field.is_input and field.default is not MISSING
    return {**schema, **words, **({"default": to_json(field.default)} if has_default else {})}


def _is_required(field: SignatureField) -> bool:
    return field.is_required() and not field.is_optional


def _read(field: SignatureField, value: Any, values: dict[str, Any], faults: list[dict[str, Any]]) -> None:
    """Read one input strictly, as JSON of its type: `"1"` is not a number."""
    try:
        values[field.name] = field.type_adapter.validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        faults += [_fault([field.name, *one["loc"]], one["type"], one["msg"]) for one in details]
    except Exception as error:  # noqa: BLE001  a validator of the user's
        faults.append(_fault([field.name], "invalid", f"was refused: {type(error).__name__}"))


def _fault(path: list[Any], kind: str, message: str) -> dict[str, Any]:
    return {"path": path, "type": kind, "message": message}


def _unfit(problem: str) -> ProgramFailedError:
    return ProgramFailedError(
        f"the program has returned outputs that do not fit: {problem}", details={"type": "outputs"}
    )


def _is_finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_is_finite, value.values()))
        case list():
            return all(map(_is_finite, value))
    return True


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _checked_name(name: str) -> str:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a served program: give name=..., up to 64 letters, digits, '_' and '-'"
        )
    return name
