"""A score from the probabilities of the tokens that a model might have answered. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.judges.scale import Scale

_LEAST_SEEN = 0.5  # of the probability; a model that would rather have written something else was not asked well
WEIGHED = {"logprobs": True, "top_logprobs": 20}  # as many as OpenAI returns


@dataclass(frozen=True, slots=True)
class Weighed:
    """The mean answer by the model's own probabilities.

    Args:
        value: The mean worth, from 0 to 1.
        probabilities: Those of the answers, which sum to 1.
    """

    value: float
    probabilities: Mapping[str, float]


def weighed(scale: Scale, answer: Any, logprobs: Any) -> Weighed | None:
    """Return the mean of the answers that the model weighed; `None` where its reply does not say.

    Args:
        scale: That of the answers.
        answer: The answer that was read from the reply.
        logprobs: The probabilities in OpenAI's form, `{"content": [{"token", "logprob", "top_logprobs"}, ...]}`.
    """
    tokens = _tokens(logprobs)
    place = _place_of(str(answer), tokens)
    if place is None:
        return None
    found: dict[str, float] = {}
    alternatives = tokens[place].get("top_logprobs") or [tokens[place]]
    for token in alternatives if isinstance(alternatives, Sequence) else ():
        name, probability = _plain(token), _probability(token)
        if name in scale.names:
            found[name] = found.get(name, 0.0) + probability
    total = sum(found.values())
    if total < _LEAST_SEEN:
        return None
    shares = {name: found[name] / total for name in scale.names if name in found}
    return Weighed(sum(scale.value(name) * share for name, share in shares.items()), shares)


def _tokens(logprobs: Any) -> Sequence[Mapping[str, Any]]:
    """Return the tokens of a reply; nothing where they are in another form."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    tokens = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    return tokens if all(isinstance(token, Mapping) and isinstance(token.get("token"), str) for token in tokens) else ()


def _place_of(answer: str, tokens: Sequence[Mapping[str, Any]]) -> int | None:
    """Return which token is the answer: the whole answer in one token, and the first after the name of the output."""
    text = "".join(token["token"] for token in tokens)
    found = re.search(rf"score\W*?({re.escape(answer)})\b", text, re.IGNORECASE)
    begun = 0
    for place, token in enumerate(tokens):
        end = begun + len(token["token"])
        if found is not None and begun <= found.start(1) < end:
            return place if _plain(token) == answer.lower() else None
        begun = end
    return None


def _plain(token: Any) -> str:
    """Return a token without the space and the quotes around it."""
    text = token.get("token") if isinstance(token, Mapping) else None
    return text.strip(" \t\r\n\"'*`").lower() if isinstance(text, str) else ""


def _probability(token: Mapping[str, Any]) -> float:
    logprob = token.get("logprob")
    return math.exp(min(0.0, logprob)) if isinstance(logprob, int | float) else 0.0
