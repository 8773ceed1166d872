"""The base of the programs in this package. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.programs.base import Module

if TYPE_CHECKING:
    from dspex_core.example import Prediction


class BuiltIn(Module):
    """A program of this package: its call returns a `Prediction`, where a user's may return anything.

    Only type checkers see the difference.
    """

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **inputs: Any) -> Prediction:
            """Run the program on its inputs and return its prediction."""

        async def acall(self, *args: Any, **inputs: Any) -> Prediction:
            """Run the program without blocking the event loop."""
