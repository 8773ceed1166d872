"""Prices of calls, by the list prices in LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.messages import Usage

_log = logging.getLogger("dspex")
LOCAL_PRICES = ("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # what LiteLLM looks for in the environment
_FILE = "model_prices_and_context_window_backup.json"


def list_price(model: str, usage: Usage) -> float | None:
    """Return the dollars that tokens cost; `None` when the price is not known. The embedded LM is free.

    The first call reads LiteLLM's table of prices (about 0.07 s), without importing LiteLLM.
    """
    if model.startswith("local/"):
        return 0.0
    prices = _prices()
    found = prices.get(model) or prices.get(model.removeprefix("openai/"))
    if found is None:
        return None
    prompt, completion = found
    return usage.prompt_tokens * prompt + usage.completion_tokens * completion


def keep_prices_local() -> None:
    """Let a later import of LiteLLM take the prices that came with it, where the environment does not say otherwise.

    Else the import downloads them.
    """
    os.environ.setdefault(*LOCAL_PRICES)


@functools.cache
def _prices() -> Mapping[str, tuple[float, float]]:
    """Return dollars for a token of the prompt and of the completion, by model."""
    spec = importlib.util.find_spec("litellm")
    folders = (spec.submodule_search_locations if spec else None) or ()
    try:
        table = json.loads(next(Path(folder, _FILE) for folder in folders).read_bytes())
        return {
            model: (row["input_cost_per_token"], row.get("output_cost_per_token") or 0.0)
            for model, row in table.items()
            if row.get("input_cost_per_token") is not None
        }
    except (StopIteration, OSError, ValueError, AttributeError) as error:
        _log.warning("LiteLLM's table of prices cannot be read, so costs are not known: %r", error)
        return {}
