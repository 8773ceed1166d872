"""How the flow of a program becomes `forward` and `aforward`, and these a flow. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.example import Prediction
from dspex_core.flow.steps import adrive, drive
from dspex_core.telemetry.tracked_usage import track_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from dspex_core.flow.steps import Flow


def driving(flow: Callable[..., Flow[Any]]) -> tuple[Callable[..., Any], Callable[..., Coroutine[Any, Any, Any]]]:
    """Return `forward` and `aforward` of a class that defines a flow."""

    def forward(self: Any, *args: Any, **inputs: Any) -> Any:
        """Run the program's logic alone: `super().forward(...)` of a subclass."""
        return drive(flow(self, *args, **inputs))

    async def aforward(self: Any, *args: Any, **inputs: Any) -> Any:
        """Run `forward` without blocking the event loop."""
        return await adrive(flow(self, *args, **inputs))

    return forward, aforward


def counted(flow: Flow[Any]) -> Flow[Any]:
    """Run a program's flow, and let its prediction say what it took."""
    with track_usage() as usage:
        prediction = yield from flow
    if isinstance(prediction, Prediction):
        prediction.set_lm_usage(usage.get_total_tokens())
    return prediction
