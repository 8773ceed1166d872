"""Ensemble: several programs as one. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.messages.canonical import canonical_json
from dspex_core.optimizers.option_kinds import wrong_kinds
from dspex_core.plain.display import value_text
from dspex_core.programs.base import Module, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.flow.steps import Flow

    Program = Callable[..., Any]  # a module, or a function


class Ensemble:
    """Makes one program of several: it runs all of them, or some, and returns what is made of their predictions.

    Args:
        reduce_fn: Makes one prediction of the list of them, such as `majority`; by default the list is returned.
        size: How many programs a call runs, drawn by the seed; all of them by default.
        deterministic: Whether equal inputs are always answered by the same programs.
        seed: Decides which programs a call runs.

    Raises ConfigurationError: `size` is below 1, or more than there are programs.
    """

    def __init__(
        self,
        *,
        reduce_fn: Callable[[list[Any]], Any] | None = None,
        size: int | None = None,
        deterministic: bool = False,
        seed: int = 0,
    ) -> None:
        given = {"reduce_fn": reduce_fn, "size": size, "deterministic": deterministic, "seed": seed}
        problems = wrong_kinds(Ensemble, given)
        if size is not None and not problems and size < 1:
            problems = [f"size must be at least 1, not {size!r}"]
        if problems:
            raise ConfigurationError("; ".join(problems))
        self.reduce_fn = reduce_fn
        self.size = size
        self.deterministic = deterministic
        self.seed = seed

    def compile(self, programs: Sequence[Program]) -> EnsembledProgram:
        """Return the program that runs these.

        Raises:
            ConfigurationError: They are not a list of programs, or fewer than `size`.
        """
        if not isinstance(programs, Sequence) or not all(map(callable, programs)):
            raise ConfigurationError(
                f"an ensemble is made of a list of programs or functions, not {value_text(programs, 200)}"
            )
        if not programs or (self.size or 1) > len(programs):
            raise ConfigurationError(f"an ensemble of {self.size or 'some'} programs cannot be made of {len(programs)}")
        return EnsembledProgram(list(programs), **vars(self))


class EnsembledProgram(Module):
    """The program that `Ensemble` makes of `programs`; the other arguments are those of `Ensemble`."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        reduce_fn: Callable[[list[Any]], Any] | None = None,
        size: int | None = None,
        deterministic: bool = False,
        seed: int = 0,
    ) -> None:
        self.programs = list(programs)
        self.reduce_fn = reduce_fn
        self.size = size
        self.deterministic = deterministic
        self.seed = seed
        self._draws = random.Random(seed)  # noqa: S311  draws programs, no secrets

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the programs, and the arguments of `Ensemble`."""
        names = ("programs", "reduce_fn", "size", "deterministic", "seed")
        return {name: getattr(self, name) for name in names}

    def flow(self, *args: Any, **inputs: Any) -> Flow[Any]:
        """Run the programs one after another, and reduce what they return."""
        predictions = []
        for program in self._drawn(args, inputs):
            predictions.append((yield from running(program, *args, **inputs)))  # noqa: PERF401  no comprehension can yield
        return self.reduce_fn(predictions) if self.reduce_fn else predictions

    def _drawn(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> list[Program]:
        draws = self._draws
        if self.size is None:
            return self.programs
        if self.deterministic:
            draws = random.Random(f"{self.seed} {canonical_json([args, inputs])}")  # noqa: S311  as above
        return draws.sample(self.programs, self.size)
