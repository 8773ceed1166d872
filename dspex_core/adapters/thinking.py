"""Separates a model's thinking from its answer. PYTEST_DONT_REWRITE

Some servers leave the thinking of a model in its reply, with drafts of the answer in it. Thinking before the answer is
skipped; inside an answer, the tags are text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex_core.signatures.signature import Signature

_NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis"),
    *("antthinking", "seed:think", "internal_monologue"),
)
_HARMONY = r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<]*<\|message\|>"
_HARMONY_END = r"<\|channel\|>final[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
_QUICK = re.compile(
    r"think|thought|reason|reflect|scratch|analysis|monologue|<\||</s>|<end|<eos|<\uff5c", re.IGNORECASE
)
_LONGEST_END = 300
_ENDS = ("]]", "}", ">", "```", "**")  # the last characters of a whole answer in each format
_END = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN)\|>"
    r"|</s>|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>))+\s*\Z"
)


class Thinking:
    """The marks around a model's thinking, for a signature: an output of such a name is not thinking.

    Args:
        outputs: The names of the outputs.
    """

    def __init__(self, outputs: tuple[str, ...]) -> None:
        names = "|".join(re.escape(name) for name in _NAMES if name not in outputs)
        self.begin = re.compile(
            rf"<(?P<name>{names})(?:\s[^<>]*)?>|(?P<square>\[THINK\])|(?P<harmony>{_HARMONY})"
            rf"|(?P<kimi>\u25c1think\u25b7)|(?P<pipe><\|begin_of_thought\|>)",
            re.IGNORECASE,
        )
        self.end = re.compile(
            rf"</(?:{names})\s*>|\[/THINK\]|{_HARMONY_END}|\u25c1/think\u25b7|<\|end_of_thought\|>", re.IGNORECASE
        )
        tags = "|".join(map(re.escape, outputs))
        self.answer = re.compile(rf"\{{|\[\s*\[\s*##|<(?:{tags})(?:\s[^<>]*)?>", re.IGNORECASE)

    def end_of(self, begin: re.Match[str]) -> re.Pattern[str]:
        """Return the end mark for a begin mark of thinking."""
        name = begin["name"]
        if name:
            return re.compile(rf"</{re.escape(name)}\s*>", re.IGNORECASE)
        return self.end


@lru_cache(maxsize=256)
def thinking(outputs: tuple[str, ...]) -> Thinking:
    """Return the marks for outputs of these names; the same each time."""
    return Thinking(outputs)


def may_think(text: str) -> bool:
    """Whether there may be marks of thinking in a reply; false at once for nearly all that have none."""
    return ("<" in text or "[/" in text or "\u25c1" in text) and _QUICK.search(text) is not None


def regions(text: str, signature: type[Signature]) -> list[str]:
    """Return the parts of a reply in which the answer may be, the likeliest first; the last is all but the thinking."""
    if not may_think(text):
        return [text.lstrip("\ufeff")]
    marks = thinking(tuple(signature.output_fields))
    spoken = _without_end(_behind(text, marks))
    *_, unopened = [None, *marks.end.finditer(spoken)]
    return [spoken] if unopened is None else [spoken[unopened.end() :], spoken]


def _behind(text: str, marks: Thinking) -> str:
    """Return a reply without thinking before the answer."""
    at = 0
    while begin := marks.begin.search(text, at):
        answer = marks.answer.search(text, at)
        if answer is not None and answer.start() < begin.start():
            break
        end = marks.end_of(begin).search(text, begin.end())
        if end is None:  # the answer is inside if the reply ends with one, and missing if it breaks off in thinking
            answered = _without_end(text).rstrip().endswith(_ENDS)
            return text[: begin.start()] + (text[begin.end() :] if answered else "")
        text = text[: begin.start()] + text[end.end() :]
        at = begin.start()
    return _before(text, marks)


def _before(text: str, marks: Thinking) -> str:
    """Return a reply without the thinking that follows a whole answer."""
    if not text.rstrip().endswith((">", "]", "\u25b7")):
        return text
    for begin in marks.begin.finditer(text):
        end = marks.end_of(begin).search(text, begin.end())
        if end is not None and not text[end.end() :].strip() and text[: begin.start()].rstrip().endswith(_ENDS):
            return text[: begin.start()]
    return text


def _without_end(text: str) -> str:
    """Return a reply without the tokens that end a turn, which some servers leave in it."""
    end = _END.search(text, max(0, len(text) - _LONGEST_END))
    if end is None or ("</s>" in end[0] and "<s>" in text):
        return text.lstrip("\ufeff")
    return text[: end.start()].lstrip("\ufeff")
