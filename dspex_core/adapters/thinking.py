"""Separates a model's thinking from its answer. PYTEST_DONT_REWRITE

Some servers leave the thinking of a model in its reply, with drafts of the answer in it. Thinking before the answer is
skipped; inside an answer, the tags are text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from dspex_core.plain.reading.choices import normal_name

if TYPE_CHECKING:
    from dspex_core.signatures.signature import Signature

_CERTAIN = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis")
_NAMES = (
    *(*_CERTAIN, "antthinking", "seed:think", "internal_monologue", "inner_monologue", "inner_thoughts"),
    *("internal_thoughts", "internal_thinking", "thought_process", "thinking_process", "reasoning_process"),
    *("thinking_content", "reasoning_content", "chain_of_thought", "cot", "rationale", "deliberation", "brainstorm"),
    *("brainstorming", "pre_thinking", "self_reflection", "step_by_step", "draft", "drafts", "plan", "planning"),
)
_SQUARE = "think|thinking|thoughts?|reasoning|scratchpad|analysis"
_HARMONY = r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<]*<\|message\|>"
_HARMONY_END = r"<\|channel\|>final[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
_PIPES = "begin_of_thought|begin_of_thinking|START_THINKING|think|thinking|thought"
_PIPES_END = "end_of_thought|end_of_thinking|END_THINKING|/think|/thinking|/thought"
_FENCED = r"^[ \t]*```[ \t]*(?:thinking|think|thoughts?|reasoning|scratchpad)[ \t]*$"
_QUICK = re.compile(
    r"think|thought|reason|reflect|scratch|analysis|monologue|rationale|deliberat|brainstorm|draft|plan|<cot|step.by"
    r"|<\||<channel|<unused|</s>|<end|<eos|<\uff5c",
    re.IGNORECASE,
)
_LONGEST_END = 300
_FENCE_END = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_BARE_END = re.compile(r"assistantfinal(?:json)?")
_ENDS = ("]]", "}", ">", "```", "**")  # the last characters of a whole answer in each format
_END = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN)\|>"
    r"|</s>|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>))+\s*\Z"
)


# Another turn, which a model goes on with behind its own.
_NEXT_TURN = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN)\|>|</s>"
    r"|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>|\[/INST\])\s*"
    r"(?:<\|(?:im_start|start)\|>(?:user|system|human|developer|tool)|<\|start_header_id\|>(?:user|system|ipython)"
    r"|<start_of_turn>user|<\|(?:user|system|human|USER_TOKEN)\|>|(?:<s>\s*)?\[INST\]|<\uff5cUser\uff5c>)"
)


class Thinking:
    """The marks around a model's thinking, for a signature: an output of such a name is not thinking.

    Args:
        outputs: The names of the outputs.
    """

    def __init__(self, outputs: tuple[str, ...]) -> None:
        taken = set(map(normal_name, outputs))
        names = "|".join(map(_spelling, (name for name in _NAMES if normal_name(name) not in taken)))
        self.begin = re.compile(
            rf"<(?P<name>{names})(?:\s[^<>]*)?>|\[(?P<square>{_SQUARE})\]|(?P<harmony>{_HARMONY})"
            rf"|(?P<kimi>\u25c1think\u25b7)|(?P<pipe><\|(?:{_PIPES})\|>)|(?P<gemma><\|channel>thought|<unused94>)"
            rf"|(?P<fence>{_FENCED})|(?P<bare>\A\s*analysis(?=\S)(?!\w*[\s:,;.!?]*\Z))",
            re.IGNORECASE | re.MULTILINE,
        )
        self.end = re.compile(
            rf"</(?:{names})\s*>|\[/(?:{_SQUARE})\]|{_HARMONY_END}|\u25c1/think\u25b7|<\|(?:{_PIPES_END})\|>"
            rf"|<channel\|>|<unused95>",
            re.IGNORECASE,
        )
        tags = "|".join(map(re.escape, outputs))
        self.answer = re.compile(rf"\{{|\[\s*\[\s*##|<(?:{tags})(?:\s[^<>]*)?>", re.IGNORECASE)

    def end_of(self, begin: re.Match[str]) -> re.Pattern[str]:
        """Return the end mark for a begin mark of thinking."""
        if begin["name"]:
            return re.compile(rf"</{re.escape(begin['name'])}\s*>", re.IGNORECASE)
        if begin["square"]:
            return re.compile(rf"\[/{re.escape(begin['square'])}\]", re.IGNORECASE)
        if begin["fence"]:
            return _FENCE_END
        return _BARE_END if begin["bare"] else self.end

    def is_certain(self, begin: re.Match[str]) -> bool:
        """Whether a mark begins thinking even if it does not end; others are then words of a reply."""
        if begin["name"]:
            return begin["name"].lower() in _CERTAIN
        return not (begin["fence"] or begin["bare"]) and begin["square"] in (None, "THINK")


@lru_cache(maxsize=256)
def thinking(outputs: tuple[str, ...]) -> Thinking:
    """Return the marks for outputs of these names; the same each time."""
    return Thinking(outputs)


def may_think(text: str) -> bool:
    """Whether there may be marks of thinking in a reply; false at once for nearly all that have none."""
    if (
        "<" not in text
        and "[/" not in text
        and "\u25c1" not in text
        and "```" not in text
        and "assistantfinal" not in text
    ):
        return False
    return _QUICK.search(text) is not None


def regions(text: str, signature: type[Signature]) -> list[str]:
    """Return the parts of a reply in which the answer may be, the likeliest first; the last is all but the thinking."""
    text = _unquoted(text)
    if not may_think(text):
        return [text.lstrip("\ufeff")]
    marks = thinking(tuple(signature.output_fields))
    spoken = _without_end(_behind(_own_turn(text), marks))
    *_, unopened = [None, *marks.end.finditer(spoken)]
    return [spoken] if unopened is None else [spoken[unopened.end() :], spoken]


def _unquoted(text: str) -> str:
    """Return a reply without the `>` before each of its lines."""
    if not text.lstrip().startswith(">"):
        return text
    lines = [line.lstrip() for line in text.splitlines() if line.strip()]
    return _QUOTE.sub("", text) if all(line.startswith(">") for line in lines) else text


def _spelling(name: str) -> str:
    return re.escape(name).replace("_", "[_ -]?")


def _own_turn(text: str) -> str:
    """Return a reply without the turns that follow its answer."""
    turn = _NEXT_TURN.search(text)
    return text[: turn.start()] if turn and text[: turn.start()].rstrip().endswith(_ENDS) else text


def _behind(text: str, marks: Thinking) -> str:
    """Return a reply without thinking before the answer."""
    at = 0
    while begin := marks.begin.search(text, at):
        answer = marks.answer.search(text, at)
        if answer is not None and answer.start() < begin.start():
            break
        end = marks.end_of(begin).search(text, begin.end())
        if end is None and not marks.is_certain(begin):
            at = begin.end()
            continue
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
