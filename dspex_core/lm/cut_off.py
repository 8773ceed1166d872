"""Warnings and errors about replies that were cut off. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dspex_core.errors import AdapterParseError, TruncatedReplyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.messages import LMOutput, LMResponse

_log = logging.getLogger("dspex")

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def warn_if_cut_off(model: str, config: Mapping[str, Any], response: LMResponse) -> None:
    """Log a warning if an output of a response was cut off."""
    if response.is_cut_off:
        cut_off = [output for output in response.outputs if output.is_cut_off]
        of_how_many = f" ({len(cut_off)} of {len(response.outputs)} outputs)" if len(response.outputs) > 1 else ""
        _log.warning("[%s] %s%s", model, why_cut_off(cut_off[0], config), of_how_many)


def why_cut_off(output: LMOutput, config: Mapping[str, Any]) -> str:
    """Say at which limit an output was cut off, and what to do about it."""
    if output.finish_reason == "content_filter":
        return "the reply was cut off by the provider's content filter"
    limit = next((f"{name}={config[name]}" for name in _LIMITS if config.get(name) is not None), None)
    if limit is None:
        return (
            "the reply was cut off at the provider's own limit, as max_tokens is not set; "
            "give the LM a max_tokens that is large enough"
        )
    return f"the reply was cut off at {limit}; give the LM a larger max_tokens"


def truncated(error: AdapterParseError, output: LMOutput, config: Mapping[str, Any]) -> TruncatedReplyError:
    """Return the error of an output that cannot be read and was cut off."""
    why = why_cut_off(output, config)
    return TruncatedReplyError(
        adapter_name=error.adapter_name,
        signature=error.signature,
        lm_response=error.lm_response,
        message=f"{why[0].upper()}{why[1:]}.",
        parsed_result=error.parsed_result,
        missing=error.missing,
        invalid=error.invalid,
    )
