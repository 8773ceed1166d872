"""Finish reasons in OpenAI's terms, and refusals. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from dspex_core.lm.engines.wire.base import DeclinedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.messages import LMOutput

_log = logging.getLogger("dspex")

_WORDS = {  # other providers' terms, in any spelling of the words
    "length": """
        length max_tokens max_output_tokens max_completion_tokens max_new_tokens max_length model_length token_limit
        model_context_window_exceeded context_window_exceeded token_limit_reached incomplete""",
    "content_filter": """
        content_filter content_filtered safety image_safety recitation blocklist prohibited_content spii
        guardrail_intervened refusal error_toxic sensitive
        blocked moderation safety_filter content_policy content_policy_violation malicious language""",
    "error": """
        error failed server_error internal_error network_error insufficient_system_resource malformed_function_call
        cancelled canceled aborted""",
}
_BETWEEN = re.compile(r"[\W_]+")
_REASONS = {_BETWEEN.sub("", word): reason for reason, words in _WORDS.items() for word in words.split()}
_FILTERED = "(no words: the provider's content filter withheld the reply)"


def finish_reason(given: Any) -> str | None:
    """Return a reason in OpenAI's terms; an unknown one is returned as it is, a missing one as `None`."""
    if not isinstance(given, str) or not given:
        return None
    if given == "stop":  # nearly always
        return given
    return _REASONS.get(_BETWEEN.sub("", given.lower()).removeprefix("finishreason"), given)


def answers(read: Sequence[tuple[LMOutput, str]]) -> tuple[LMOutput, ...]:
    """Return the outputs that are not refusals.

    Raises:
        DeclinedError: All outputs are refusals.
        ValueError: `outputs` is empty.
    """
    if not read:
        raise ValueError("no choices")
    found, refusals = [], []
    for output, refusal in read:
        if refusal.strip():
            refusals.append(refusal)
        elif output.finish_reason == "content_filter" and not (output.text or output.tool_calls):
            refusals.append(_FILTERED)
        else:
            found.append(output)
    if not found:
        raise DeclinedError(refusals[0])
    if refusals:
        _log.warning("%d of %d outputs are refusals and left out: %s", len(refusals), len(read), refusals[0])
    return tuple(found)
