"""Whether a program that is served has the model that it needs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from dspex_core.config import current
from dspex_core.errors import LMNotConfiguredError
from dspex_core.programs.as_tool import written_method

if TYPE_CHECKING:
    from dspex_core.programs.base import Module

_CHOOSES = {"context", "configure", "set_lm"}


def check_model(program: Module, *, name: str) -> None:
    """Refuse a program whose predictors have no model, neither their own nor one of the settings.

    A program whose `forward` uses `context` is taken to choose its model there.

    Raises:
        LMNotConfiguredError: One of its predictors has none.
    """
    if current().lm is not None or any(_chooses(module) for _, module in program.named_modules()):
        return
    without = next((path for path, predictor in program.every_predictor() if predictor.lm is None), None)
    if without is not None:
        where = "" if without == "self" else f" (its predictor {without!r})"
        raise LMNotConfiguredError(
            f"the program {name!r}{where} needs a model, and none is set: name it with --lm provider/model "
            "(lm= in Python), or with set_lm on the program, or with configure where the program is made"
        )


def _chooses(module: Module) -> bool:
    written = inspect.unwrap(written_method(module) or _chooses)
    is_code = inspect.isfunction(written) or inspect.ismethod(written)
    return is_code and not _CHOOSES.isdisjoint(written.__code__.co_names)
