"""Other LMs that are asked when one fails. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex_core.errors import LMError
from dspex_core.lm.streaming import has_emitted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.flow.steps import Flow
    from dspex_core.lm.base import BaseLM
    from dspex_core.messages import LMRequest, LMResponse

_log = logging.getLogger("dspex")


def first_to_answer(
    answer: Flow[LMResponse], fallbacks: Sequence[BaseLM], request: LMRequest, *, without: Mapping[str, Any]
) -> Flow[LMResponse]:
    """Return an answer, or else that of the first fallback that succeeds.

    Args:
        answer: The answer of the LM itself.
        fallbacks: The LMs that are asked when it fails.
        request: What is asked.
        without: The defaults of the LM, in whose place a fallback has its own.

    Raises:
        LMError: All of them failed; it is the first error, with the others as notes.
    """
    try:
        return (yield from answer)
    except LMError as error:
        if has_emitted(request):
            raise
        failure = error
    config = {name: value for name, value in request.config.items() if without.get(name) != value}
    for lm in fallbacks:
        _log.warning("%s; asking the fallback %r", failure, lm)
        try:
            response = yield from lm.live(lm.prepared(replace(request, config=config, options=None)))
        except LMError as error:
            if has_emitted(request):
                raise
            failure.add_note(f"the fallback failed, too: {error}")
        else:
            return replace(response, lm=response.lm or lm.model)
    raise failure
