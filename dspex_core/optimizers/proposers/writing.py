"""Asking an LM for a text that an optimizer uses, such as an instruction. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import AdapterParseError, ContextWindowExceededError, LMRefusalError, LMResponseError
from dspex_core.plain.display import error_text, value_text
from dspex_core.plain.text import normalized
from dspex_core.programs.predict import Predict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.example import Prediction
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

_log = logging.getLogger("dspex")
_UNUSABLE = (AdapterParseError, ContextWindowExceededError, LMRefusalError, LMResponseError)
_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
_LABEL = re.compile(r"(?:(?:proposed|new|improved|final)\s+)?instructions?\s*:\s*", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "«": "»"}


@dataclass
class Writer:
    """Asks an LM for texts, and notes what could not be used.

    Args:
        lm: The LM; that of the settings by default.
        temperature: That of each call; the LM's own by default.
        settings: Further settings of the calls.
        asked: How many texts it has asked for.
        unusable: Why texts could not be used.
        is_too_long: Whether the latest prompt was too long for the LM.
    """

    lm: LanguageModel | None = None
    temperature: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked: int = 0
    unusable: list[str] = field(default_factory=list)
    is_too_long: bool = False

    def ask(self, task: type[Signature], *, rollout_id: int | None = None, **inputs: Any) -> Prediction | None:
        """Return the outputs of a signature; `None` if the reply cannot be read.

        Args and raises as `write`; without a `rollout_id`, each reply is a rollout of its own.
        """
        self.asked += 1
        sampling: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        predict = Predict(task, rollout_id=self.asked if rollout_id is None else rollout_id, **sampling)
        settings = {"lm": self.lm or current().lm, **self.settings, "trace": None}
        try:
            with context(**settings):
                answer: Prediction = predict(**inputs)
        except _UNUSABLE as error:
            self.unusable.append(error_text(error))
            self.is_too_long = isinstance(error, ContextWindowExceededError)
            return None
        return answer

    def write(self, task: type[Signature], *, rollout_id: int, **inputs: Any) -> str | None:
        """Return the text of a signature's only output, cleaned; `None` if the reply cannot be used.

        Args:
            task: What is asked for.
            rollout_id: Another for each text that is wanted of the same prompt, so that no cache answers.
            **inputs: The signature's inputs.

        Raises:
            BudgetExceededError: The budget has no room for the call.
            LMError: The LM could not be reached, or does not let us in.
        """
        (output,) = task.output_fields
        answer = self.ask(task, rollout_id=rollout_id, **inputs)
        if answer is None:
            return None
        text = cleaned(str(answer[output] or ""))
        if not text:
            self.unusable.append("an empty text")
        return text or None

    def instruction(
        self, task: type[Signature], *, known: Collection[str], rollout_id: int, **inputs: Any
    ) -> str | None:
        """Return an instruction, as `write` does; `None` also if it is known, or repeats what was asked.

        Args:
            task: What is asked for.
            known: The instructions that there are.
            rollout_id: As for `write`.
            **inputs: The signature's inputs.
        """
        text = self.write(task, rollout_id=rollout_id, **inputs)
        asked = [task.instructions, *(value for value in inputs.values() if isinstance(value, str))]
        return text if text is not None and self.accepts(text, known=known, asked=asked) else None

    def accepts(self, text: str, *, known: Collection[str], asked: Collection[str]) -> bool:
        """Whether a text is an instruction: not empty, not `known`, and no part of what was `asked`."""
        problem = ""
        if not text:
            problem = "an empty text"
        elif normalized(text) in {normalized(each) for each in known}:
            problem = f"an instruction that there is already: {value_text(text, 100)}"
        elif any(normalized(text) in normalized(each) for each in asked):
            problem = f"a part of the prompt: {value_text(text, 100)}"
        if problem:
            self.unusable.append(problem)
        return not problem

    def report(self, optimizer: str) -> None:
        """Warn once of what could not be used, if anything."""
        if self.unusable:
            _log.warning(
                "%s: %d of %d texts that it asked an LM for could not be used, and are left out; the first: %s",
                *(optimizer, len(self.unusable), self.asked, self.unusable[0]),
            )


def lm_for(program: Module, lm: LanguageModel | None) -> LanguageModel | None:
    """Return the LM that an optimizer asks: the given one, else that of the settings, else that of a predictor."""
    own = (predictor.lm for predictor in program.predictors() if predictor.lm is not None)
    return lm or current().lm or next(own, None)


def cleaned(text: str) -> str:
    """Return a text without what models put around it: a code fence, the label "Instruction:", quotes."""
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1].strip()
    text = _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
    closing = _QUOTES.get(text[:1])
    if closing is not None and len(text) > 1 and text.endswith(closing) and closing not in text[1:-1]:
        text = text[1:-1].strip()
    return text
