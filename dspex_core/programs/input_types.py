"""Inputs that do not fit the types of their fields. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.errors import SignatureError
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.signatures.signature import Signature, SignatureField

_log = logging.getLogger("dspex")


def warn_of_unfit(signature: type[Signature], inputs: Mapping[str, Any], *, wanted: bool) -> None:
    """Log each input that cannot be read as its field's type, if that is wanted; texts may be anything."""
    for name, declared in _typed(signature) if wanted else ():
        value = inputs.get(name)
        if value is not None and type(value) is not declared.annotation and not _fits(declared, value):
            _log.warning("%r: the input %r is not a %s: %s", signature, name, _shown(declared), value_text(value, 200))


@lru_cache(maxsize=256)
def _typed(signature: type[Signature]) -> tuple[tuple[str, SignatureField], ...]:
    """Return the inputs that are not just text. Those that write themselves are checked where they do."""
    fields = signature.input_fields.items()
    return tuple((name, each) for name, each in fields if each.annotation not in (str, Any) and not each.shows_itself)


def _fits(declared: SignatureField, value: Any) -> bool:
    try:
        return bool(declared.type_adapter.validator.isinstance_python(value))
    except SignatureError:  # a type of which pydantic knows nothing
        return True
    except Exception:  # noqa: BLE001  a validator is the user's code
        return False


def _shown(declared: SignatureField) -> str:
    kind = declared.annotation
    return kind.__name__ if isinstance(kind, type) else str(kind)
