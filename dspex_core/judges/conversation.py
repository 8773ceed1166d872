"""ConversationJudge: a rubric for a whole conversation. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.judges.material import fields_of, text_of
from dspex_core.judges.rubric import Judge
from dspex_core.plain.prompt_values import EarlierTurns
from dspex_core.programs.conversing import Conversation

if TYPE_CHECKING:
    from dspex_core.judges.material import Texts
    from dspex_core.judges.scale import Given

_MESSAGE = frozenset({"role", "content"})


class ConversationJudge(Judge):
    """A metric by a rubric for a whole conversation, such as "keeps to what the user asked for in the beginning".

    Args:
        criteria: What is wanted of the conversation, in words.
        turns: The field that holds the conversation: the prediction's, or else the example's. A `History`, or a list
            of turns: messages in OpenAI's form, mappings of fields, or pairs of a role and a text. The prediction may
            also be the conversation itself: what `converse` returned, a `History`, or such a list.
        scale: As for `Judge`.
        **options: As for `BaseJudge`.

    Raises on a call:
        ConfigurationError: There is no conversation, or it has no turns.
    """

    def __init__(self, criteria: str, *, turns: str = "history", scale: Given = 5, **options: Any) -> None:
        self.turns = turns
        super().__init__(criteria, scale=scale, **options)

    def texts(self, example: Any, prediction: Any) -> Texts:
        """Return the conversation as one text, its turns numbered."""
        turns = _turns_of(prediction)
        if turns is None:
            fields = {**fields_of(example), **fields_of(prediction)}
            turns = _turns_of(fields.get(self.turns))
        if not turns:
            raise ConfigurationError(
                f"the judge {self.__name__!r} needs a conversation: a prediction that is one, or a field "
                f"{self.turns!r} with a History or a list of turns"
            )
        shown = [f"[turn {number}] {_shown(turn)}" for number, turn in enumerate(turns, 1)]
        return {"conversation (to judge)": "\n\n".join(shown)}

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        arguments = {name: value for name, value in super().constructor_arguments().items() if name != "fields"}
        return {**arguments, "turns": self.turns}


def _turns_of(value: Any) -> list[Any] | None:
    """Return the turns of a conversation; `None` for anything else."""
    if isinstance(value, Conversation):
        return list(value.messages)
    if isinstance(value, EarlierTurns):
        return list(value.turns())
    return list(value) if isinstance(value, list | tuple) else None


def _shown(turn: Any) -> str:
    """Write one turn: who said it, and what."""
    if isinstance(turn, Mapping):
        if turn.keys() >= _MESSAGE:
            return f"{turn['role']}: {text_of(turn['content'])}"
        return "\n".join(f"{name}: {text_of(value)}" for name, value in turn.items())
    if isinstance(turn, tuple | list) and len(turn) == 2:  # noqa: PLR2004  a role and a text
        return f"{turn[0]}: {text_of(turn[1])}"
    return text_of(turn)
