"""New instructions from examples with feedback. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors import BudgetExceededError
from dspex_core.optimizers.proposers.writing import Writer
from dspex_core.plain.display import error_text, value_text
from dspex_core.plain.text import normalized
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.config.contracts import LanguageModel

_log = logging.getLogger("dspex")
_ENOUGH = 5  # tries in a row without any text: this LM does not write instructions

Records = Mapping[str, "Sequence[Mapping[str, Any]]"]  # examples with feedback, by the predictor's path


class ImproveInstruction(Signature):
    """Improve an instruction that a language model follows.

    The examples show what the model was given, what it answered, and feedback on the answer. Find out what the
    instruction lacks or says wrongly. Then write the whole instruction anew. Keep what works. State the rules,
    facts and formats that the feedback teaches, so that they hold for other inputs too. Do not refer to the
    examples.
    """

    current_instruction: str = InputField()
    examples: str = InputField(desc="inputs, answers, and feedback")
    new_instruction: str = OutputField(desc="the complete new instruction and nothing else")


@dataclass
class Reflection:
    """Writes new instructions: by an LM, or by a proposer of the user's own.

    Args:
        lm: The LM that reflects; that of the settings by default.
        proposer: `proposer(candidate=, reflective_dataset=, components_to_update=)`, which returns texts by path.
    """

    lm: LanguageModel | None
    proposer: Callable[..., Any] | None
    _asked: int = 0
    _written: int = 0
    _failures: list[str] = field(default_factory=list)

    def texts(self, candidate: Mapping[str, str], records: Records, paths: Sequence[str]) -> dict[str, str]:
        """Return new instructions by path; a predictor for which none could be written is left out."""
        self._asked += 1
        texts = self._own(candidate, records, paths) if self.proposer is None else self._user(candidate, records, paths)
        if texts:
            self._written += 1
        elif len(self._failures) == 1:
            _log.warning("GEPA goes on with the old instruction where no new one is written: %s", self._failures[0])
        return texts

    @property
    def is_hopeless(self) -> bool:
        """Whether several tries have given no instruction at all."""
        return not self._written and self._asked >= _ENOUGH

    @property
    def reason(self) -> str:
        """Why it is hopeless."""
        return f"{self._asked} reflections wrote no instruction; the first: {self._failures[0]}"

    def _own(self, candidate: Mapping[str, str], records: Records, paths: Sequence[str]) -> dict[str, str]:
        texts = {}
        for place, path in enumerate(paths):
            if path not in records:
                self._failures.append(f"no call of {path!r} has feedback")
                continue
            writer = Writer(self.lm)
            current, shown = candidate[path], _shown(records[path])
            text = writer.write(
                ImproveInstruction,
                rollout_id=self._asked * 1000 + place,  # equal prompts are to get other texts
                current_instruction=current,
                examples=shown,
            )
            if text is None or normalized(text) in (normalized(current), normalized(ImproveInstruction.instructions)):
                self._failures.append(
                    writer.unusable[0] if writer.unusable else f"it is not new: {value_text(text, 200)}"
                )
                continue
            texts[path] = text
        return texts

    def _user(self, candidate: Mapping[str, str], records: Records, paths: Sequence[str]) -> dict[str, str]:
        assert self.proposer is not None, "called only where there is one"
        given = {"candidate": dict(candidate), "reflective_dataset": records, "components_to_update": list(paths)}
        try:
            with context(**({} if self.lm is None else {"lm": self.lm})):
                found = self.proposer(**given)
        except BudgetExceededError:
            raise
        except Exception as error:  # noqa: BLE001  the user's code: one failed proposal does not end the compile
            self._failures.append(f"the instruction_proposer raised {error_text(error)}")
            return {}
        if not isinstance(found, Mapping) or not all(isinstance(text, str) for text in found.values()):
            self._failures.append(
                f"the instruction_proposer must return texts by predictor, not {value_text(found, 200)}"
            )
            return {}
        texts = {path: text for path, text in found.items() if path in candidate and text.strip()}
        if not texts:
            self._failures.append(
                f"the instruction_proposer returned no text for {', '.join(paths)}: {value_text(found, 200)}"
            )
        return texts


def _shown(records: Sequence[Mapping[str, Any]]) -> str:
    """Write examples with feedback as a text."""
    return "\n\n".join(f"# Example {number}\n{_lines(record, 2)}" for number, record in enumerate(records, 1))


def _lines(record: Mapping[str, Any], level: int) -> str:
    parts = []
    for name, value in record.items():
        text = _lines(value, level + 1) if isinstance(value, Mapping) else str(value)
        parts.append(f"{'#' * level} {name}\n{text}")
    return "\n".join(parts)
