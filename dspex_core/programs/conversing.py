"""Conversations with a program: from a script of user turns, or with a simulated user. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors import ConfigurationError
from dspex_core.example import Prediction
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import value_text
from dspex_core.plain.text import normalized
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import make_signature
from dspex_core.types import History

if TYPE_CHECKING:
    from dspex_core.lm.base import BaseLM

Message = dict[str, str]

_PLAY = """\
You play a user who talks to an assistant. Stay in the part of the user, and pursue the goal in your own words.
Write the user's next message, one or two sentences. It is the end when the goal is reached, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user wrote, what the program made of it, and what the script expects of that, if it says."""

    user: str
    prediction: Any
    expect: Any = None

    @property
    def reply(self) -> str:
        """The text that the user sees: the last output, or what a function returned."""
        made = self.prediction
        values = list(made.values()) if isinstance(made, Prediction | Mapping) else [made]
        return str(values[-1]) if values else ""

    @property
    def problem(self) -> str:
        """How the reply differs from the expected one; empty if it does not.

        A text is expected to occur in the reply, whatever its case and white space; a dict names output fields.
        """
        if self.expect is None:
            return ""
        if not isinstance(self.expect, Mapping):
            found = normalized(str(self.expect)) in normalized(self.reply)
            return "" if found else f"expected {self.expect!r} in the reply, which is {value_text(self.reply, 300)}"
        made = self.prediction if isinstance(self.prediction, Prediction | Mapping) else {}
        wrong = [
            f"expected {name}={value!r}, got {value_text(made.get(name), 300)}"
            for name, value in self.expect.items()
            if normalized(str(made.get(name))) != normalized(str(value))
        ]
        return "; ".join(wrong)


class Conversation(Prediction):
    """What a program answered at the end of a conversation; `turns` are all of them."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns, in order."""
        turns: tuple[Turn, ...] = self.__dict__.get("_turns", ())
        return turns

    @property
    def messages(self) -> list[Message]:
        """The conversation in OpenAI's form."""
        return _messages(self.turns)

    @property
    def problems(self) -> list[str]:
        """What differs from the script's expectations, a text for each turn."""
        numbered = enumerate(self.turns, 1)
        return [
            f"turn {number} ({value_text(turn.user, 80)}): {turn.problem}" for number, turn in numbered if turn.problem
        ]


class SimulatedUser:
    """A user who pursues a goal in a conversation, played by an LM.

    Args:
        goal: What the user wants, and what the user knows and is like.
        lm: The LM that plays the user; by default that of the settings.
        max_turns: After how many messages the user stops.
    """

    def __init__(self, goal: str, *, lm: BaseLM | None = None, max_turns: int = 5) -> None:
        self.goal = goal
        self.lm = lm
        self.max_turns = whole_number("max_turns", max_turns)
        signature = "goal: str, conversation: list[dict[str, str]] -> message: str, is_the_end: bool"
        self.play = Predict(make_signature(signature, _PLAY))

    def message(self, messages: Sequence[Message]) -> str | None:
        """Return the user's next message, or `None` at the end of the conversation."""
        if sum(message["role"] == "user" for message in messages) >= self.max_turns:
            return None
        settings = {} if self.lm is None else {"lm": self.lm}
        with context(**settings):
            said = self.play(goal=self.goal, conversation=list(messages))
        return None if said.is_the_end and messages else str(said.message)


def converse(
    program: Callable[..., Any],
    user: Iterable[str | Mapping[str, Any]] | SimulatedUser,
    *,
    user_field: str | None = None,
    history_field: str = "history",
    **inputs: Any,
) -> Conversation:
    """Run a program through a conversation, in which it gets the earlier turns as its history.

    Args:
        program: A module with an input of the type `History`, or a function; a function gets OpenAI's messages.
        user: The user's texts, or dicts `{"user": text, "expect": ...}`; or a `SimulatedUser`.
        user_field: The input that gets the user's text; by default the only one beside the history and `inputs`.
        history_field: The input that gets the earlier turns.
        **inputs: What the program gets in each turn.

    Raises:
        ConfigurationError: The program has no such inputs, or a turn of the script has no text.
    """
    field = user_field or _user_field(program, {history_field, *inputs})
    earlier, turns = inputs.pop(history_field, None) or [], list[Turn]()
    before = earlier.messages if isinstance(earlier, History) else list(earlier)
    for text, expect in _said(user, turns):
        if isinstance(program, Module):
            history: Any = History(messages=[*before, *({field: turn.user, **_fields(turn)} for turn in turns)])
        else:
            history = [*before, *_messages(turns)]
        turns.append(Turn(text, program(**{**inputs, field: text, history_field: history}), expect))
    if not turns:
        raise ConfigurationError("a conversation needs at least one turn of the user")
    conversation = Conversation(_fields(turns[-1]))
    conversation.__dict__["_turns"] = tuple(turns)
    return conversation


def _said(user: Iterable[str | Mapping[str, Any]] | SimulatedUser, turns: list[Turn]) -> Iterator[tuple[str, Any]]:
    if isinstance(user, SimulatedUser):
        while (text := user.message(_messages(turns))) is not None:
            yield text, None
        return
    if isinstance(user, str | Mapping):
        raise ConfigurationError(f"the turns of a conversation are a list of texts, not {value_text(user, 200)}")
    for number, turn in enumerate(user, 1):
        said = turn if isinstance(turn, str) else turn.get("user") if isinstance(turn, Mapping) else None
        if not isinstance(said, str):
            raise ConfigurationError(
                f"turn {number} is {value_text(turn, 200)}: write the user's text, or a dict with it, "
                '{"user": "...", "expect": "..."}'
            )
        yield said, turn.get("expect") if isinstance(turn, Mapping) else None


def _fields(turn: Turn) -> dict[str, Any]:
    made = turn.prediction
    return dict(made.items()) if isinstance(made, Prediction | Mapping) else {"reply": made}


def _messages(turns: Iterable[Turn]) -> list[Message]:
    return [
        message
        for turn in turns
        for message in ({"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.reply})
    ]


def _user_field(program: Callable[..., Any], others: set[str]) -> str:
    if isinstance(program, Module):
        names = dict.fromkeys(name for _, each in program.every_predictor() for name in each.signature.input_fields)
    else:
        names = dict.fromkeys(inspect.signature(program).parameters)
    left = [name for name in names if name not in others]
    if len(left) != 1 or len(left) == len(names):
        known = ", ".join(map(repr, names)) or "none"
        raise ConfigurationError(
            f"a conversation needs a program with an input for the user's text and one for the history; its inputs: "
            f"{known}; name them with user_field= and history_field="
        )
    return left[0]
