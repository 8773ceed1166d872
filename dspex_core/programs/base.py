"""The base of all programs. PYTEST_DONT_REWRITE

A built-in program writes its logic once, as `flow`; `__call__` drives it in this thread and
`acall` in the event loop. A user's program writes `forward` (or `aforward`) instead.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dspex_core.artifacts import read_artifact, write_artifact
from dspex_core.errors import ArtifactError
from dspex_core.flow import Call, Flow, adrive, drive
from dspex_core.telemetry import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike

    from dspex_core.lm.base import BaseLM
    from dspex_core.programs.predict import Predict

ARTIFACT_KIND = "program"


@dataclass(frozen=True, slots=True)
class _Forward:
    """The step of a user's program: `forward` when driven sync, `aforward` when driven async."""

    sync: Call
    awaited: Call

    def run(self) -> Any:
        return self.sync.run()

    async def arun(self) -> Any:
        return await self.awaited.arun()


class Module:
    """A program: it holds predictors and other modules as attributes, and says how they work together.

    Subclasses define `forward(**inputs)`, or `aforward`, or (as the built-in ones) `flow`.
    """

    span_kind: ClassVar[str] = "module"

    def flow(self, *args: Any, **inputs: Any) -> Flow[Any]:
        """Run the program's logic as a flow; by default it is one step that calls `forward` or `aforward`."""
        return (yield _Forward(Call(self.forward, args, inputs), Call(self.aforward, args, inputs)))

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program's logic; a subclass writes it here, in plain Python."""
        if type(self).aforward is Module.aforward:
            raise NotImplementedError(f"{type(self).__name__} defines neither forward nor aforward")
        return Call(self.aforward, args, inputs).run()

    async def aforward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program's logic without blocking; by default `forward` in a thread."""
        return await Call(self.forward, args, inputs).arun()

    def steps(self, *args: Any, **inputs: Any) -> Flow[Any]:
        """Run the program as a part of another flow: `prediction = yield from module.steps(...)`."""
        with span(self.span_kind, {"module": self, "inputs": inputs}) as attributes:
            prediction = yield from self.flow(*args, **inputs)
            attributes["result"] = prediction
        return prediction

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the program on its inputs and return its prediction."""
        return drive(self.steps(*args, **inputs))

    async def acall(self, *args: Any, **inputs: Any) -> Any:
        """Run the program without blocking the event loop."""
        return await adrive(self.steps(*args, **inputs))

    def named_predictors(self) -> list[tuple[str, Predict]]:
        """Return every predictor in the program with its path, such as `"search.steps[0]"`; each once."""
        from dspex_core.programs.predict import Predict  # a Predict is a Module: it cannot be imported before

        return [(path, module) for path, module in self.named_modules() if isinstance(module, Predict)]

    def predictors(self) -> list[Predict]:
        """Return every predictor in the program."""
        return [predictor for _, predictor in self.named_predictors()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (as `"self"`) and all modules in it with their paths, each once."""
        return _walk("", self, set())

    def map_named_predictors(self, function: Callable[[Predict], Predict]) -> Self:
        """Replace each predictor by what `function` makes of it; return this program."""
        for path, predictor in self.named_predictors():
            _replace(self, path, function(predictor))
        return self

    def set_lm(self, lm: BaseLM | None) -> None:
        """Let every predictor use this LM; `None` for the one in the settings."""
        for predictor in self.predictors():
            predictor.lm = lm

    def get_lm(self) -> BaseLM | None:
        """Return the LM that all predictors share.

        Raises:
            ValueError: They have different ones.
        """
        found = {id(predictor.lm): predictor.lm for predictor in self.predictors()}
        if len(found) > 1:
            raise ValueError(f"the predictors use different LMs: {', '.join(map(repr, found.values()))}")
        return next(iter(found.values()), None)

    def deepcopy(self) -> Self:
        """Return a copy that can be changed without changing this program; LMs and demos are shared."""
        return copy.deepcopy(self)

    def reset_copy(self) -> Self:
        """Return a copy whose predictors have no demos and no LM of their own."""
        clone = self.deepcopy()
        for predictor in clone.predictors():
            predictor.reset()
        return clone

    def dump_state(self) -> dict[str, Any]:
        """Return what optimization can change, as JSON data: the state of each predictor by its path."""
        return {path: predictor.dump_state() for path, predictor in self.named_predictors()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a dumped state.

        Raises:
            ArtifactError: The state does not fit; it lists every reason, and nothing was changed.
        """
        predictors = dict(self.named_predictors())
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

    def save(self, path: str | PathLike[str], *, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the program's state to a JSON file; it appears whole or not at all. No key is stored.

        Args:
            path: The file; its folder is made if need be.
            metadata: JSON data to keep with the state, such as the score that it reached.
        """
        write_artifact(path, ARTIFACT_KIND, self.dump_state(), metadata=metadata)

    def load(self, path: str | PathLike[str]) -> None:
        """Take over the state in a file that `save` wrote.

        Raises:
            ArtifactError: The file cannot be read or does not fit; nothing was changed.
        """
        try:
            self.load_state(read_artifact(path, ARTIFACT_KIND))
        except ArtifactError as error:
            raise ArtifactError(error.reason, path=str(path), problems=error.problems) from error

    def __repr__(self) -> str:
        lines = [f"  {path}: {predictor!r}" for path, predictor in self.named_predictors()]
        return "\n".join([f"{type(self).__name__}:", *lines])


def _walk(path: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Module]]:
    if id(value) in seen:
        return
    if isinstance(value, Module):
        seen.add(id(value))
        yield path or "self", value
        for name, child in vars(value).items():
            yield from _walk(f"{path}.{name}" if path else name, child, seen)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _walk(f"{path}[{index}]", child, seen)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _walk(f"{path}[{key!r}]", child, seen)


def _replace(root: Module, path: str, predictor: Predict) -> None:
    """Put a predictor in the place of the one at `path`; containers on the way are searched by identity."""
    if path == "self":
        raise ValueError("a predictor cannot be replaced inside itself")
    old = dict(root.named_predictors())[path]
    for _, module in list(root.named_modules()):
        for name, value in vars(module).items():
            replaced = _substitute(value, old, predictor)
            if replaced is not value:
                setattr(module, name, replaced)


def _substitute(value: Any, old: Predict, new: Predict) -> Any:
    if value is old:
        return new
    if isinstance(value, list | tuple) and any(_substitute(item, old, new) is not item for item in value):
        return type(value)([_substitute(item, old, new) for item in value])
    if isinstance(value, dict) and any(_substitute(item, old, new) is not item for item in value.values()):
        return {key: _substitute(item, old, new) for key, item in value.items()}
    return value
