"""Instructions that an LM writes, grounded in the data, the program and worked examples. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.proposers.program_text import program_text, step_text
from dspex_core.optimizers.proposers.writing import Writer
from dspex_core.plain.data import json_text
from dspex_core.plain.described import described
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.example import Example, Record
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.programs.base import Module

_BATCHES = 5  # how many batches of examples are read for the summary
_LONGEST = 300  # characters of a value in an example
_ROLLOUTS = 10**9
_DATA = "description of the data"
_TIPS = (
    "",
    "Be short and exact: one or two sentences.",
    "Describe the task in detail: name what to look at in the inputs, and when to give which output.",
    "Say how to decide in cases that are easy to confuse.",
    "Begin with a role, such as: You are an expert in ...",
    "Say what depends on a correct answer, so that the model takes care.",
    "Try an approach that differs from the current instruction.",
)


class DescribeData(Signature):
    """Describe a dataset in two or three sentences, for someone who will write an instruction for the task.

    Say what the task is, what the inputs look like, and what the outputs look like. Take the notes over, and
    correct or complete them by the examples.
    """

    examples: str = InputField(desc="some examples of the dataset")
    notes: str = InputField(desc="the description so far; it may be empty")
    description: str = OutputField(desc="two or three sentences")


class WriteInstruction(Signature):
    """Write an instruction for a language model that does one step of a program.

    The model will see your instruction, then the inputs of the step, and must give its outputs. Write the
    instruction itself, in plain words, and nothing else. Do not answer an example.
    """

    program: str = InputField(desc="the source of the program")
    step: str = InputField(desc="the step that the instruction is for, with its inputs and outputs")
    data: str = InputField(desc="a description of the data")
    examples: str = InputField(desc="inputs of the step with correct outputs")
    current_instruction: str = InputField(desc="the instruction that is to be improved")
    tip: str = InputField(desc="advice on how to write it")
    instruction: str = OutputField(desc="the new instruction")


@dataclass(frozen=True)
class GroundedProposer:
    """Lets an LM write instructions, and shows it what the task is.

    An LM describes batches of training examples once for a program, each time by what it knows from those before. Then
    it writes each instruction from that description, the source of the program, what the predictor takes and gives, a
    few accepted calls of it, the present instruction, and a tip, which is another each time. Each request is a rollout
    of its own, so that no cache answers one with the reply to another. A text that cannot be used (empty, a repetition,
    a part of the prompt) is left out, with one warning.

    Source: Opsahl-Ong et al. 2024, "Optimizing Instructions and Demonstrations for Multi-Stage Language Model
    Programs". Its descriptions of program and step by an LM are left out; the source stands for them.

    Args:
        lm: The LM that writes; that of the settings by default.
        temperature: That of each request.
        program_aware: Whether the source of the program is shown.
        data_aware: Whether a description of the data is made and shown.
        tip_aware: Whether a tip is shown.
        demo_aware: Whether accepted calls are shown.
        batch_size: How many examples are described at once.
        demos_shown: How many accepted calls are shown.
    """

    lm: LanguageModel | None = None
    temperature: float | None = 1.0
    program_aware: bool = True
    data_aware: bool = True
    tip_aware: bool = True
    demo_aware: bool = True
    batch_size: int = 10
    demos_shown: int = 3

    def instructions(self, run: Run[Any], path: str, count: int, demos: Sequence[Demo] = ()) -> list[str]:
        """Return new instructions for a predictor of `run.student`; see `Proposer`."""
        if count < 1:
            return []
        writer, rng = Writer(self.lm, self.temperature), run.random(f"instructions of {path}")
        data = self._data(run, writer)
        predictor = dict(run.student.named_predictors())[path]
        own = predictor.signature.instructions
        tips = rng.sample(_TIPS, len(_TIPS)) if self.tip_aware else [""]
        found: list[str] = []
        for number in range(count):
            inputs = {
                "program": program_text(run.student) if self.program_aware else "",
                "step": step_text(predictor),
                "data": data,
                "examples": self._examples(predictor.signature, demos, rng),
                "current_instruction": own,
                "tip": tips[number % len(tips)],
            }
            text = _written(writer, inputs, known=[own, *found], rollout_id=rng.randrange(1, _ROLLOUTS))
            found += [] if text is None else [text]
        writer.report(run.optimizer)
        return found

    def calls(self, student: Module, trainset: Sequence[Any], count: int) -> int:
        """Return how many LM calls it takes at most to write `count` instructions for each predictor."""
        if count < 1:
            return 0
        batches = min(_BATCHES, math.ceil(len(trainset) / self.batch_size)) if self.data_aware else 0
        return batches + count * len(student.predictors())

    def _data(self, run: Run[Any], writer: Writer) -> str:
        """Return the description of the data, which is made once in a compile."""
        if not self.data_aware:
            return ""
        if _DATA not in run.findings:
            run.findings[_DATA] = self._described(run, writer)
        found: str = run.findings[_DATA]
        return found

    def _described(self, run: Run[Any], writer: Writer) -> str:
        rng, size = run.random(_DATA), self.batch_size
        rows = rng.sample(run.trainset, min(len(run.trainset), size * _BATCHES))
        notes = ""
        for start in range(0, len(rows), size):
            shown = _listed(rows[start : start + size])
            more = writer.write(DescribeData, rollout_id=rng.randrange(1, _ROLLOUTS), examples=shown, notes=notes)
            notes = more or notes
        return notes

    def _examples(self, signature: type[Signature], demos: Sequence[Demo], rng: random.Random) -> str:
        shown = rng.sample(demos, min(self.demos_shown, len(demos))) if self.demo_aware else []
        return _listed([{name: demo[name] for name in signature.fields if name in demo} for demo in shown])


def _written(writer: Writer, inputs: Mapping[str, str], *, known: Sequence[str], rollout_id: int) -> str | None:
    """Return a new instruction, or `None`; what is empty is not asked about."""
    task: type[Signature] = WriteInstruction
    for name, value in inputs.items():
        if not value:
            task = task.delete(name)
    given = {name: value for name, value in inputs.items() if value}
    return writer.instruction(task, known=known, rollout_id=rollout_id, **given)


def _listed(rows: Iterable[Example | Record | Mapping[str, Any]]) -> str:
    return "\n\n".join("\n".join(f"{name}: {_shown(value)}" for name, value in row.items()) for row in rows)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(described(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
