"""Several answers in one reply: echoed templates, drafts, corrections. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.signatures.signature import Signature

Section = tuple[str, Any]  # an output's name and text


def split_answers(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Return the answers that sections make up: a name that comes again begins another one."""
    answers: list[dict[str, Any]] = [{}]
    for name, content in sections:
        if name in answers[-1]:
            answers.append({})
        answers[-1][name] = content
    return [answer for answer in answers if answer]


def likeliest(signature: type[Signature], answers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the answers by likelihood: the last complete one first.

    A model corrects itself below its first answer. An answer with placeholders, `{name}` for each value, is a copy of
    the layout. If no answer is complete, the fullest one is returned.
    """
    if len(answers) == 1:
        return list(answers)
    required = [
        name for name, field in signature.output_fields.items() if field.is_required() and not field.is_optional
    ]
    whole = [answer for answer in answers if all(name in answer for name in required)]
    if not whole:
        return sorted(answers, key=len, reverse=True)[:1]
    given = [answer for answer in whole if not _is_layout(answer)]
    return (given or whole)[::-1]


def _is_layout(answer: Mapping[str, Any]) -> bool:
    return all(is_placeholder(name, content) for name, content in answer.items())


def is_placeholder(name: str, content: Any) -> bool:
    """Whether the text of an output is its placeholder in the layout: `{name}`."""
    return isinstance(content, str) and re.match(rf"\s*[{{<]{re.escape(name)}[}}>]", content) is not None
