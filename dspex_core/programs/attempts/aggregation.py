"""majority: the answer that most completions agree on. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from dspex_core.example import Completions, Prediction
from dspex_core.plain.text import normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SIGN = re.compile(r"(?![-\u2212.:/]\d)[^\w\s]|_")  # but those that make another number, as in -5 and 3.5
_ARTICLE = re.compile(r"\b(?:an?|the)\s+(?=\w)")  # before a word: A may be the answer itself


def default_normalize(s: Any) -> Any:
    """Return a text without case, punctuation and English articles; `None` if nothing is left.

    A value that is not text stays unchanged.
    """
    if not isinstance(s, str):
        return s
    return normalized(_ARTICLE.sub("", _SIGN.sub(_without_sign, normalized(s)))) or None


def majority(
    prediction_or_completions: Prediction | Completions | Sequence[Mapping[str, Any]],
    normalize: Callable[[Any], Any] | None = default_normalize,
    field: str | None = None,
) -> Prediction:
    """Return the first completion whose value of a field is the most frequent one.

    Of equally frequent values the earlier one counts.

    Args:
        prediction_or_completions: A prediction with several completions (`Predict(..., n=5)`), its
            completions, or a list of predictions or mappings.
        normalize: Returns the form in which a value is compared; a completion for which it returns `None` has no vote.
            `None` compares them as they are.
        field: The field to compare; by default the last one.

    Raises:
        ValueError: `completions` is empty.
    """
    given = prediction_or_completions
    completions: list[Any] = list(given.completions if isinstance(given, Prediction) else given)
    if not completions:
        raise ValueError("there are no completions to choose from")
    name = field or list(completions[0].keys())[-1]
    values = [normalize(completion[name]) if normalize else completion[name] for completion in completions]
    votes = [value for value in values if value is not None] or values
    winner = max(votes, key=votes.count)  # the first of equals
    return Prediction.from_completions([completions[values.index(winner)]])


def _without_sign(match: re.Match[str]) -> str:
    return "" if unicodedata.category(match[0]).startswith(("P", "S")) or match[0] == "_" else match[0]
