"""Programs put together from instructions and demos for each predictor. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from dspex_core.optimizers.demos import Student
from dspex_core.optimizers.search.dimensions import apply, full_name, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.optimizers.demo_sets import DemoSet
    from dspex_core.optimizers.search.dimensions import Dimension


@dataclass(frozen=True)
class Parts(Generic[Student]):
    """What there is to choose from; choice 0 of a dimension leaves the program as it is.

    Args:
        program: The program.
        instructions: New instructions for each predictor, by its path.
        demo_sets: Demos for the predictors. Each predictor chooses one of the sets for itself.
        dimensions: What else there is to choose for each predictor, by its path.
    """

    program: Student
    instructions: Mapping[str, Sequence[str]]
    demo_sets: Sequence[DemoSet] = ()
    dimensions: Mapping[str, Sequence[Dimension]] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """How many choices each dimension has."""
        sizes = {}
        for path, texts in self.instructions.items():
            sizes[_instruction(path)] = 1 + len(texts)
            sizes[_demos(path)] = 1 + len(self.demo_sets)
            sizes |= {full_name(path, each): len(each.choices) for each in self.dimensions.get(path, ())}
        return {name: size for name, size in sizes.items() if size > 1}

    def make(self, choices: Mapping[str, int]) -> Student:
        """Return the program with what was chosen."""
        program = self.program.deepcopy()
        for path, predictor in program.named_predictors():
            instruction, demos = choices.get(_instruction(path), 0), choices.get(_demos(path), 0)
            if instruction:
                text = self.instructions[path][instruction - 1]
                predictor.signature = predictor.signature.with_instructions(text)
            if demos:
                predictor.demos, predictor.demo_selector = self.demo_sets[demos - 1][path], None
            apply(predictor, path, self.dimensions.get(path, ()), choices)
        return program

    def name(self, choices: Mapping[str, int]) -> str:
        """Return what was chosen in words."""
        own = {name for path in self.instructions for name in (_instruction(path), _demos(path))}
        chosen = [f"{name} {choice}" for name, choice in choices.items() if choice and name in own]
        if len(self.instructions) == 1:  # the path says nothing then
            chosen = [name.rpartition(": ")[2] for name in chosen]
        return ", ".join([*chosen, *in_words(self.dimensions, choices)]) or "as it is"


def _instruction(path: str) -> str:
    return f"{path}: instruction"


def _demos(path: str) -> str:
    return f"{path}: demos"
