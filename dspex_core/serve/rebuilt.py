"""The program of an artifact without its source, where the artifact describes it whole. PYTEST_DONT_REWRITE

What compiled a program notes its source (see `programs/saving/source`): classes, fields, types. One predictor of the
library, with types that need no import, can be made again from that.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DSPexError
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.predict import Predict
from dspex_core.programs.saving.source import source_of
from dspex_core.signatures.signature import InputField, OutputField, make_signature
from dspex_core.signatures.string import OnlyThese, parse_type
from dspex_core.storage.artifacts import provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.programs.base import Module

_CLASSES: Mapping[str, Callable[..., Module]] = {"Predict": Predict, "ChainOfThought": ChainOfThought}
_OF_THE_FIELD = ("role", "type", "constraints")
_TYPES = OnlyThese(
    {
        **{cls.__name__: cls for cls in (dt.date, dt.datetime, dt.time, dt.timedelta)},
        **{cls.__name__: cls for cls in (decimal.Decimal, uuid.UUID)},
    }
)


def rebuilt(stored: Mapping[str, Any], *, name: str) -> Module | None:
    """Return the program that an artifact describes, as it was before it was compiled; `None` if it cannot be made.

    Args:
        stored: The data of the file.
        name: The name of its signature.
    """
    try:
        source = provenance_of(stored)["fingerprint"]["source"]
        kind = source["modules"]["self"]
        ((_, predictor),) = source["predictors"].items()
        signature = make_signature(_fields(predictor, kind), predictor["instructions"], name)
        program = _CLASSES[kind](signature, **predictor.get("config", {}))
        as_described = source_of(program) == source
    except (KeyError, TypeError, ValueError, AttributeError, DSPexError):  # the file has something else in it
        return None
    return program if as_described else None


def _fields(predictor: Mapping[str, Any], kind: str) -> dict[str, Any]:
    outputs = [name for name, field in predictor["fields"].items() if field["role"] == "output"]
    of_the_class = outputs[:1] if kind == "ChainOfThought" else []
    return {
        name: (parse_type(field["type"], _TYPES), _declared(field))
        for name, field in predictor["fields"].items()
        if name not in of_the_class
    }


def _declared(field: Mapping[str, Any]) -> Any:
    make = InputField if field["role"] == "input" else OutputField
    words = {key: value for key, value in field.items() if key not in _OF_THE_FIELD}
    return make(**words, **field.get("constraints", {}))
