"""A program as a tool of another one. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from dspex_core.errors import ConfigurationError
from dspex_core.programs.base import Module
from dspex_core.signatures.signature import MISSING, SignatureMeta
from dspex_core.tools.arguments import Arguments, of_function, of_types
from dspex_core.tools.execution import Invocation
from dspex_core.tools.sources import Source, source_of

if TYPE_CHECKING:
    from collections.abc import Callable


@source_of.register
def program_source(program: Module) -> Source:
    """Return what a program is as a tool: it takes what its `forward` does, or the inputs of its signature.

    Raises:
        ConfigurationError: It has neither.
    """
    kind, call = type(program), partial(_invocation, program)
    written = written_method(program)
    if written is not None:
        words = inspect.cleandoc(kind.__doc__ or written.__doc__ or "")
        return Source(kind.__name__, words, of_function(written), call)
    signature = program_signature(program)
    name = kind.__name__ if signature.__name__ == "StringSignature" else signature.__name__
    return Source(name, signature.instructions, _inputs(signature), call)


def _invocation(program: Module, args: dict[str, Any]) -> Invocation:
    return Invocation(partial(program, **args), partial(program.acall, **args))


def written_method(program: Module) -> Callable[..., Any] | None:
    """Return the method in which a user has written the program; `None` for a built-in one."""
    kind = type(program)
    if kind.flow is not Module.flow:  # a built-in one
        return None
    if kind.forward is not Module.forward:
        return program.forward
    return program.aforward if kind.aforward is not Module.aforward else None


def program_signature(program: Module) -> SignatureMeta:
    """Return the signature of a built-in program: its own, or that of its only predictor."""
    own = vars(program).get("signature")
    found = [own] if own else [predictor.signature for _, predictor in program.every_predictor()]
    if len(found) == 1 and isinstance(found[0], SignatureMeta):
        return found[0]
    message = f"{program!r} does not say what it takes: wrap it in a function, or a `forward`, with type hints"
    raise ConfigurationError(message)


def _inputs(signature: SignatureMeta) -> Arguments:
    import pydantic  # heavy, not needed before the first tool

    fields = signature.input_fields
    types: dict[str, Any] = {
        name: Annotated[field.annotation, pydantic.Field(description=field.desc or None, **field.constraints)]
        for name, field in fields.items()
    }
    return of_types(types, {name: field.default for name, field in fields.items() if field.default is not MISSING})
