"""Calls within the budget in force. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.config import current

if TYPE_CHECKING:
    from dspex_core.flow.steps import Flow
    from dspex_core.messages import LMResponse


def within_budget(model: str, call: Flow[LMResponse]) -> Flow[LMResponse]:
    """Make a call, if the budget in force has room for it.

    Raises:
        BudgetExceededError: The budget has no room; the call was not made.
    """
    budget = current().budget
    if budget is None:
        return (yield from call)
    budget.open_call()
    response = None
    try:
        response = yield from call
    finally:
        budget.close_call(model, response)
    return response
