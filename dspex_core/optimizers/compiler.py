"""One line from a program to a saved artifact, and one back. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.errors import ConfigurationError
from dspex_core.evaluation.devset import Devset
from dspex_core.optimizers.contract import Optimizer
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.programs.base import Module

Program = TypeVar("Program", bound="Module")
_OF_COMPILE = frozenset({"teacher", "seed", "budget", "journal", "margin"})


class Compiler:
    """Compiles programs, saves them, and loads them.

        compiler = Compiler(metric=exact_match("intent"))
        intent = compiler.compile(program, MIPROv2, trainset="train.jsonl", save_to="artifacts/intent.json")
        intent = compiler.load("artifacts/intent.json", program)

    Args:
        metric: What is better, for optimizers that are given as classes.
        **options: Options of these optimizers, such as `num_threads`.
    """

    def __init__(self, metric: Metric | None = None, **options: Any) -> None:
        self.metric = metric
        self.options = options

    def compile(
        self,
        program: Program,
        optimizer: Optimizer | type[Optimizer],
        *,
        trainset: Any,
        valset: Any = None,
        save_to: str | PathLike[str] | None = None,
        **options: Any,
    ) -> Program:
        """Return the compiled program, and save its state with what it was compiled from.

        Args:
            program: The program to improve; it stays as it is.
            optimizer: An optimizer; or its class, which is made with the metric and the options.
            trainset: The examples to learn from: a list, or whatever `load_dataset` takes, such as a path.
            valset: The examples to choose between candidates by, likewise.
            save_to: The `.json` file of the artifact; it is written only when the compile has ended well.
            **options: `teacher`, `seed`, `budget`, `journal` and `margin` of the compile; others are the optimizer's
                if it is given as a class, else its `compile`'s.

        Raises:
            ConfigurationError: A dataset or the optimizer cannot be used.
            OptimizationError: The program cannot be compiled with these examples and options.
        """
        if not isinstance(optimizer, Optimizer) and not callable(optimizer):
            message = (
                f"the optimizer must be one, such as MIPROv2(metric), or its class, not {value_text(optimizer, 200)}"
            )
            raise ConfigurationError(message)
        framing = {name: options.pop(name) for name in _OF_COMPILE & options.keys()}
        if isinstance(optimizer, Optimizer):
            made, framing = optimizer, {**framing, **options}
        else:
            made = self._made(optimizer, options)
        held_out = None if valset is None else _examples(valset, program)
        compiled = made.compile(program, trainset=_examples(trainset, program), valset=held_out, **framing)
        if save_to is not None:
            compiled.save(save_to)
        return compiled

    def load(self, path: str | PathLike[str], program: Program, *, strict: bool = True) -> Program:
        """Return a copy of a program with the state of an artifact.

        Args:
            path: The artifact that `compile` saved.
            program: The program as its source makes it.
            strict: Whether it is an error that the program's source has changed since it was compiled.

        Raises:
            StaleArtifactError: With `strict`, the program's source has changed.
            ArtifactError: The file cannot be read, or does not fit the program.
        """
        loaded = program.deepcopy()
        loaded.load(path, strict=strict)
        return loaded

    def _made(self, kind: type[Optimizer], options: dict[str, Any]) -> Optimizer:
        given = {**self.options, **options}
        if self.metric is not None and "metric" in inspect.signature(kind).parameters:
            given = {"metric": self.metric, **given}
        try:
            return kind(**given)
        except TypeError as error:
            raise ConfigurationError(f"{kind.__name__} cannot be made with {', '.join(given)}: {error}") from error


def _examples(data: Any, program: Module) -> list[Example]:
    return Devset(data, program).in_memory()
