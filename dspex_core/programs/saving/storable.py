"""The base of what is saved: its state, and how it is made again. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError
from dspex_core.plain.display import value_text
from dspex_core.programs.saving import dspy_format as dspy
from dspex_core.programs.saving.tree import Node, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core.programs.saving.state import Declaration, Parameter


class _OfTrials:
    """An attribute of compiled programs; a user's program may have one of that name for its own."""

    def __init__(self, read: Callable[[Any], Any], doc: str) -> None:
        self._read = read
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, program: Any, owner: type | None = None) -> Any:
        if program is None:
            return self
        trials = vars(program).get("_dspex_trials")
        if trials is None:
            raise AttributeError(f"{type(program).__name__!r} has no {self._name!r}: no optimizer has just compiled it")
        return self._read(trials)


class Storable(Node):
    """A program as files hold it: the arguments of its constructor, and a state for each of its predictors."""

    trials = _OfTrials(lambda trials: trials, "What the compile that has made this program tried: a `Trials`.")
    candidate_programs = _OfTrials(
        attrgetter("candidate_programs"), "The candidates as DSPy lists them, the best first."
    )

    def every_predictor(self) -> Sequence[tuple[str, Parameter]]:
        """Return every predictor with its path. A subclass knows them."""
        raise NotImplementedError

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """Yield this program (as `"self"`) and all programs in it with their paths, each once."""
        return walk("", self, set())

    def coded_parts(self) -> Iterator[tuple[str, Any]]:
        """Yield the objects whose code runs and whose numbers count, with their paths: the programs in this one."""
        return self.named_modules()

    def note_origin(self, declarations: Mapping[str, Declaration], provenance: Mapping[str, Any]) -> None:
        """Note that this program was compiled, and from what: its file will say so.

        Args:
            declarations: What the source says of each predictor, by its path.
            provenance: What the file is to keep.
        """
        vars(self)["_dspex_origin"] = dict(provenance)
        for path, predictor in self.every_predictor():
            if path in declarations:
                predictor.declare(declarations[path])

    def note_trials(self, trials: Any) -> None:
        """Note what the compile that made this program has tried: `trials` and `candidate_programs` show it."""
        vars(self)["_dspex_trials"] = trials

    def dump_state(self) -> dict[str, Any]:
        """Return what optimization can change, as JSON data: the state of each predictor by its path."""
        return {path: predictor.dump_state() for path, predictor in self.every_predictor()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a dumped state.

        Raises:
            ArtifactError: The state does not fit; it lists every reason, and nothing was changed.
        """
        if not isinstance(state, Mapping):
            raise ArtifactError(f"a state is a mapping of predictors' states by path, not {value_text(state, 200)}")
        if dspy.is_dspy_state(state):
            state = dspy.predictor_states(state)
        predictors = dict(self.every_predictor())
        problems = [f"it has no state for the predictor {path!r}" for path in predictors if path not in state]
        problems += [f"the program has no predictor {path!r}" for path in state if path not in predictors]
        loaded = {}
        for path, predictor in predictors.items():
            if path in state:
                try:
                    loaded[path] = predictor.with_state(state[path])
                except ArtifactError as error:
                    problems += [f"{path}: {problem}" for problem in error.problems]
        if problems:
            raise ArtifactError(f"the state does not fit this {type(self).__name__}", problems=problems)
        for path, changed in loaded.items():
            predictors[path].assign(changed)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return what the class is to be called with to make this program again: JSON values and signatures.

        A class that is called without arguments need not define it. What `dump_state` holds is not part of it.
        """
        return {}
