"""A program as text, for an LM to read: its source and its signatures; nothing is executed. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

from dspex_core.plain.secrets import masked
from dspex_core.programs.base import Predictor
from dspex_core.signatures.type_texts import TypeTexts

if TYPE_CHECKING:
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

_ROOT = __name__.partition(".")[0]
_LONGEST = 4000  # characters of the sources


def program_text(program: Module) -> str:
    """Return the source of the user's classes in a program, cut where it is long, and what predictors take and give."""
    sources: dict[str, str] = {}
    for _, module in program.named_modules():
        kind = type(module)
        if not isinstance(module, Predictor) and kind.__module__.partition(".")[0] != _ROOT:
            sources.setdefault(kind.__qualname__, _source_of(kind))
    text = "\n\n".join(filter(None, sources.values()))
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}\n..."
    steps = [f"{path} = {step_text(predictor)}" for path, predictor in program.named_predictors()]
    return masked("\n\n".join(filter(None, [text, "\n\n".join(steps)])))


def step_text(predictor: Predictor) -> str:
    """Return a predictor's class, and what it takes and gives."""
    return f"{type(predictor).__name__}: {signature_text(predictor.signature)}"


def signature_text(signature: type[Signature]) -> str:
    """Return a signature's fields with their types and descriptions, a line for each, below its short form."""
    types = TypeTexts()
    lines = [
        f"  {'input' if field.is_input else 'output'} {name}: {types.of(field.annotation)}"
        + (f" ({field.desc})" if field.desc and field.desc != f"${{{name}}}" else "")
        for name, field in signature.fields.items()
    ]
    asked, answered = ", ".join(signature.input_fields), ", ".join(signature.output_fields)
    return masked("\n".join([f"{asked} -> {answered}", *lines]))


def _source_of(kind: type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(kind)).strip()
    except (OSError, TypeError):  # made without a file, as in a console
        return ""
