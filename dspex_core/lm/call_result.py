"""The result of a call that does not raise. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex_core.errors import BudgetExceededError, LMError
    from dspex_core.messages import LMResponse


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call: a response or an error."""

    response: LMResponse | None = None
    error: LMError | BudgetExceededError | None = None

    @property
    def ok(self) -> bool:
        """Whether the call was answered."""
        return self.error is None

    @property
    def texts(self) -> list[str]:
        """The text of each output; none when the call failed."""
        return [output.text for output in self.response.outputs] if self.response is not None else []
