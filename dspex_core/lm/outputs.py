"""Several outputs of a call, from a provider that gives one at a time. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dspex_core.lm.streaming import for_output
from dspex_core.messages import LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.messages import LMRequest


def nth(request: LMRequest, index: int) -> LMRequest:
    """Return the request for one of the outputs; a seed must not make them all equal."""
    config = {name: value for name, value in request.config.items() if name != "n"}
    if "seed" in config:
        config["seed"] += index
    return for_output(replace(request, config=config), index)


def joined(responses: Sequence[LMResponse]) -> LMResponse:
    """Return the outputs of several calls as those of one."""
    outputs = tuple(output for response in responses for output in response.outputs)
    usage = sum((response.usage for response in responses), Usage())
    return replace(responses[0], outputs=outputs, usage=usage)
