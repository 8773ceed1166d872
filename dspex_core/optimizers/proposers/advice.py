"""Rules for predictors, from a good and a bad run of their program on one example. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.optimizers.proposers.rewriting import fields_in_words
from dspex_core.optimizers.proposers.values import values_in_words
from dspex_core.optimizers.proposers.writing import cleaned
from dspex_core.plain.display import value_text
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from dspex_core.optimizers.proposers.writing import Writer
    from dspex_core.optimizers.search.trajectories import Trajectory
    from dspex_core.programs.base import Module


class GiveAdvice(Signature):
    """Compare two runs of a program on the same inputs, and give its modules rules that make the better run likelier.

    A module is one call of a language model. It will not see these runs, only your rule, and it must do well on other
    inputs of the same kind. Say in a rule when it applies, and what the module must do then. Keep it to what the module
    itself decides. Leave out modules that did nothing wrong.
    """

    modules: str = InputField(desc="the modules of the program, with their fields and instructions")
    example: str = InputField(desc="the inputs, and what is known of the right outputs")
    worse_run: str = InputField(desc="what each module did in the worse run, with the score")
    better_run: str = InputField(desc="what each module did in the better run, with the score")
    discussion: str | None = OutputField(desc="which module made the difference, and by what", default=None)
    module_advice: dict[str, str] | str = OutputField(
        desc="a JSON object with the name of a module and the rule for it; for a single module, the rule alone will do"
    )


@dataclass
class Advisor:
    """Asks an LM for rules.

    Args:
        writer: Asks, and notes which replies were of no use.
    """

    writer: Writer

    def advise(self, program: Module, worse: Trajectory, better: Trajectory) -> dict[str, str]:
        """Return rules by the path of the predictor; none where the reply was of no use."""
        predictors = dict(program.named_predictors())
        answer = self.writer.ask(
            GiveAdvice,
            modules="\n\n".join(
                f"Module {path}\n{fields_in_words(each.signature)}\nInstruction: {each.signature.instructions}"
                for path, each in predictors.items()
            ),
            example=values_in_words(better.example),
            worse_run=_run_in_words(worse),
            better_run=_run_in_words(better),
        )
        if answer is None:
            return {}
        advice = answer.module_advice
        if isinstance(advice, str):
            advice = dict.fromkeys(predictors, advice) if len(predictors) == 1 else {}
        rules = {path: cleaned(rule) for path, rule in advice.items() if path in predictors}
        if not rules:
            self.writer.unusable.append(
                f"no rule for any of {', '.join(predictors)}: {value_text(answer.module_advice, 100)}"
            )
        known = [each.signature.instructions for each in predictors.values()]
        prompt = [GiveAdvice.instructions, *known]
        return {path: rule for path, rule in rules.items() if self.writer.accepts(rule, known=(), asked=prompt)}


def _run_in_words(run: Trajectory) -> str:
    steps = [
        f"Module {path}\ngot: {values_in_words(step.inputs)}\nwrote: {values_in_words(step.outputs)}"
        for path, step in run.steps
    ]
    said = f"\nRemark: {run.feedback}" if run.feedback else ""
    return "\n\n".join([*steps, f"Score: {run.score:g}{said}"])
