"""Rules that an LM finds in examples of a task. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.optimizers.proposers.rewriting import fields_in_words
from dspex_core.optimizers.proposers.values import values_in_words
from dspex_core.optimizers.proposers.writing import cleaned
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.proposers.writing import Writer
    from dspex_core.programs.base import Predictor


class FindRules(Signature):
    """Find the rules by which the outputs follow from the inputs in these examples.

    Write one rule a line. A rule says when it applies and what to do then, and it must hold for inputs of this kind
    that are not among the examples. Leave out what the instruction says already, and what is true of one example only.
    """

    instruction: str = InputField(desc="what the task is said to be")
    fields: str = InputField(desc="the inputs and the outputs")
    examples_text: str = InputField(desc="inputs with their right outputs, one example a line")
    most: int = InputField(desc="how many rules to write at most")
    natural_language_rules: str = OutputField(desc="the rules, one a line")


@dataclass
class RuleFinder:
    """Asks an LM for rules.

    Args:
        writer: Asks, and notes which replies were of no use.
        most: How many rules to ask for.
    """

    writer: Writer
    most: int

    def rules(self, predictor: Predictor, examples: Sequence[Demo]) -> str:
        """Return rules for a predictor, one a line; an empty text where the reply was of no use.

        Where the prompt is too long for the LM, it is asked again with half of the examples.
        """
        signature = predictor.signature
        while examples:
            answer = self.writer.ask(
                FindRules,
                instruction=signature.instructions,
                fields=fields_in_words(signature),
                examples_text="\n".join(map(values_in_words, examples)),
                most=self.most,
            )
            if answer is not None:
                rules = cleaned(answer.natural_language_rules or "")
                asked = [FindRules.instructions, signature.instructions]
                return rules if self.writer.accepts(rules, known=(), asked=asked) else ""
            if not self.writer.is_too_long:
                break
            examples = examples[: len(examples) // 2]
        return ""
