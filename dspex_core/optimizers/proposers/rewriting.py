"""New words for one predictor: its instructions, and the label of its last output. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.proposers.writing import cleaned
from dspex_core.optimizers.search.prompts import shows_prefixes
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dspex_core.optimizers.proposers.writing import Writer
    from dspex_core.programs.base import Predictor
    from dspex_core.signatures.signature import SignatureField

_LONGEST_PREFIX = 200


class ImproveInstruction(Signature):
    """Write a better instruction for a language model.

    The model is given the instruction and the inputs, and writes the outputs. Say plainly what the task is, what to
    look at in the inputs, how to decide in doubtful cases, and what the outputs must look like. Write for any input of
    this kind. Do not do the task yourself.
    """

    basic_instruction: str = InputField(desc="the instruction so far")
    fields: str = InputField(desc="the inputs and the outputs of the model")
    proposed_instruction: str = OutputField(desc="the better instruction, and nothing else")
    proposed_prefix_for_output_field: str | None = OutputField(
        desc="a few words after which the model starts to write its last output", default=None
    )


class ImproveOnAttempts(Signature):
    """Write a better instruction for a language model than those that were tried.

    The model is given the instruction and the inputs, and writes the outputs. Below are instructions with the score
    that the model has reached, the best one last; 100 is perfect. Find out what the good ones have and the bad ones
    lack. Then write a new one, which differs from all of them and scores higher. Write for any input of this kind. Do
    not do the task yourself.
    """

    attempted_instructions: list[str] = InputField(desc="what was tried, from the lowest score to the highest")
    fields: str = InputField(desc="the inputs and the outputs of the model")
    proposed_instruction: str = OutputField(desc="the new instruction, and nothing else")
    proposed_prefix_for_output_field: str | None = OutputField(
        desc="a few words after which the model starts to write its last output", default=None
    )


@dataclass(frozen=True, slots=True)
class Words:
    """What is tried for a predictor.

    Args:
        instructions: Its instructions.
        prefix: The label of its last output. The adapters here do not show it; a user's own may.
    """

    instructions: str
    prefix: str

    @classmethod
    def of(cls, predictor: Predictor) -> Words:
        """Return those of a predictor."""
        signature = predictor.signature
        return cls(signature.instructions, list(signature.output_fields.values())[-1].prefix)

    def put(self, predictor: Predictor) -> None:
        """Give them to a predictor."""
        last = list(predictor.signature.output_fields)[-1]
        changed = predictor.signature.with_instructions(self.instructions)
        predictor.signature = changed.with_updated_fields(last, prefix=self.prefix)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Words that were tried, with their mean score."""

    words: Words
    score: float


@dataclass
class Rewriter:
    """Asks an LM for new words.

    Args:
        writer: Asks, and notes which replies were of no use.
    """

    writer: Writer

    def words(self, predictor: Predictor, count: int, attempts: Sequence[Attempt] = ()) -> list[Words]:
        """Return new words for a predictor.

        Args:
            predictor: The predictor, with its words so far.
            count: How many to ask for.
            attempts: What was tried before.

        Returns:
            At most that many, and none that was tried before.
        """
        own = Words.of(predictor)
        fields = fields_in_words(predictor.signature)
        inputs: dict[str, Any] = {"basic_instruction": own.instructions, "fields": fields}
        task: type[Signature] = ImproveInstruction
        if attempts:
            task, ranked = ImproveOnAttempts, sorted(attempts, key=lambda each: each.score)
            inputs = {"attempted_instructions": [_shown(each) for each in ranked], "fields": fields}
        tried = [own, *(each.words for each in attempts)]
        known = [] if shows_prefixes(predictor) else [words.instructions for words in tried]
        replies = [self._asked(task, inputs, own, known=known) for _ in range(count)]
        return [words for words in dict.fromkeys(replies) if words is not None and words not in tried]

    def _asked(
        self, task: type[Signature], inputs: Mapping[str, Any], own: Words, *, known: Collection[str]
    ) -> Words | None:
        answer = self.writer.ask(task, **inputs)
        if answer is None:
            return None
        instructions = cleaned(answer.proposed_instruction or "")
        if not self.writer.accepts(instructions, known=known, asked=[task.instructions, inputs["fields"]]):
            return None
        prefix = cleaned(answer.proposed_prefix_for_output_field or "")
        fits = prefix and "\n" not in prefix and len(prefix) <= _LONGEST_PREFIX
        return Words(instructions, prefix if fits else own.prefix)


def fields_in_words(signature: type[Signature]) -> str:
    """Return the fields of a signature, one a line."""
    inputs = [_line("input", field) for field in signature.input_fields.values()]
    return "\n".join([*inputs, *(_line("output", field) for field in signature.output_fields.values())])


def _line(kind: str, field: SignatureField) -> str:
    return f"{kind} {field.name}{f': {field.desc}' if field.desc else ''}"


def _shown(attempt: Attempt) -> str:
    words = attempt.words
    return f"Score: {100 * attempt.score:.1f}\nPrefix: {words.prefix}\nInstruction: {words.instructions}"
