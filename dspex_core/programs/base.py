"""The base of all programs. PYTEST_DONT_REWRITE

A built-in program writes its logic once, as `flow`; `__call__` drives it in this thread and
`acall` in the event loop. A user's program writes `forward` (or `aforward`) instead.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TextIO

from dspex_core.artifacts import artifact_state, read_json, write_artifact, write_json
from dspex_core.config import current
from dspex_core.errors import ArtifactError, ConfigurationError, SignatureError
from dspex_core.example import Prediction, Record
from dspex_core.flow import Call, Flow, adrive, drive
from dspex_core.interop import dspy
from dspex_core.lm.history import CallLog, noting_in
from dspex_core.programs.demos import selector_from_json
from dspex_core.programs.recipe import RECIPE_KIND, is_private, recipe_file, recipe_of
from dspex_core.telemetry import span
from dspex_core.usage import track_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from os import PathLike

    from dspex_core.lm.base import BaseLM
    from dspex_core.programs.demos import DemoSelector
    from dspex_core.signature import Signature

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
        """Run the program as a part of another flow: `prediction = yield from Module.steps(module, ...)`.

        Called on the class, like `flow`: a user's program may well have an attribute of that name.
        """
        settings = current()
        flow = type(self).flow(self, *args, **inputs)
        if settings.track_usage:
            flow = _counted(flow)
        if settings.listeners:
            flow = _told(self, inputs, flow)
        with noting_in(self._dspex_calls):
            return (yield from flow)

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the program on its inputs and return its prediction."""
        return drive(Module.steps(self, *args, **inputs))

    async def acall(self, *args: Any, **inputs: Any) -> Any:
        """Run the program without blocking the event loop."""
        return await adrive(Module.steps(self, *args, **inputs))

    @cached_property
    def history(self) -> CallLog:
        """The latest LM calls that this program made, oldest first."""
        return self._dspex_calls

    @cached_property
    def _dspex_calls(self) -> CallLog:  # apart from `history`, a name that a user's program may have for its own
        return CallLog()

    def inspect_history(self, n: int = 1, file: TextIO | None = None) -> None:
        """Write the last `n` LM calls of this program to a file, by default to `sys.stdout`."""
        self._dspex_calls.inspect(n, file)

    def named_predictors(self) -> list[tuple[str, Predictor]]:
        """Return every predictor in the program with its path, such as `"search.steps[0]"`; each once."""
        return [(path, module) for path, module in self.named_modules() if isinstance(module, Predictor)]

    def predictors(self) -> list[Predictor]:
        """Return every predictor in the program."""
        return [predictor for _, predictor in self.named_predictors()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (as `"self"`) and all modules in it with their paths, each once."""
        return _walk("", self, set())

    def map_named_predictors(self, function: Callable[[Predictor], Predictor]) -> Self:
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

    def constructor_arguments(self) -> dict[str, Any]:
        """Return what the class is to be called with to make this program again: JSON values and signatures.

        A class that is called without arguments need not define it. What `dump_state` holds is not part of it.
        """
        return {}

    def save(
        self,
        path: str | PathLike[str],
        save_program: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        *,
        format: Literal["dspex", "dspy"] = "dspex",  # noqa: A002  what it is
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the program's state to a JSON file; it appears whole or not at all. No key and no LM is stored.

        Args:
            path: The file; its folder is made if need be. For a whole program, a folder or a `.json` file.
            save_program: Whether to write what `dspex_core.load` needs to make the program again, and
                not its state alone: the name of its class, its `constructor_arguments` and its state.
            format: Whose: `"dspy"` writes what the `load` of a DSPy program reads.
            metadata: JSON data to keep with the state, such as the score that it reached; DSPy's form has no place
                for it.

        Raises:
            ArtifactError: The file cannot be written, or not in this format, or the program could not
                be made again; an older one stays as it was.
            ConfigurationError: There is no such format, or it has no place for metadata or for the program.
        """
        if save_program and format == "dspex":
            write_artifact(recipe_file(path), RECIPE_KIND, recipe_of(self, Module), metadata=metadata)
        elif format == "dspex":
            write_artifact(path, ARTIFACT_KIND, self.dump_state(), metadata=metadata)
        elif format == "dspy" and metadata is None and not save_program:
            write_json(path, dspy.dump_dspy_state(self))
        else:
            message = (
                f"a program is saved as 'dspex', or its state alone, without metadata, as 'dspy'; not as {format!r}"
            )
            raise ConfigurationError(message)

    def load(self, path: str | PathLike[str]) -> None:
        """Take over the state in a file that `save` wrote, or that of a DSPy program (a `.json` one).

        The predictors keep their LMs: what a DSPy file says of LMs is not used.

        Raises:
            ArtifactError: The file cannot be read or does not fit; nothing was changed.
        """
        try:
            stored = read_json(path)
            is_dspy = dspy.is_dspy_state(stored)
            self.load_state(
                dspy.predictor_states(stored) if is_dspy else artifact_state(stored, ARTIFACT_KIND, path=path)
            )
        except ArtifactError as error:
            raise ArtifactError(error.reason, path=str(path), problems=error.problems) from error

    def __repr__(self) -> str:
        lines = [f"  {path}: {predictor!r}" for path, predictor in self.named_predictors()]
        return "\n".join([f"{type(self).__name__}:", *lines])


class Predictor(Module):
    """A module that calls the LM itself, with what an optimizer can change; `Predict` is the one there is.

    Args:
        signature: The task.
        config: Sampling parameters of every call.
    """

    def __init__(self, signature: type[Signature], config: dict[str, Any]) -> None:
        self.signature = signature
        self.config = config
        self.lm: BaseLM | None = None
        self.demo_selector: DemoSelector | None = None
        self._demos: tuple[Mapping[str, Any], ...] = ()

    @property
    def demos(self) -> tuple[Mapping[str, Any], ...]:
        """The worked examples, as mappings of field to value. Copies of the program share them."""
        return self._demos

    @demos.setter
    def demos(self, demos: Iterable[Mapping[str, Any] | Record]) -> None:
        self._demos = tuple(demos)  # type: ignore[arg-type]  # a Record reads as a mapping

    def reset(self) -> None:
        """Forget demos and LM."""
        self.demos, self.demo_selector, self.lm = (), None, None

    def dump_state(self) -> dict[str, Any]:
        """Return what optimization can change: instructions, descriptions, demos, their choice, config."""
        return {
            "signature": self.signature.dump_state(),
            "demos": [Record(demo).toDict() for demo in self.demos],
            "demo_selector": self.demo_selector.to_json() if self.demo_selector else None,
            "config": {name: value for name, value in self.config.items() if not is_private(name)},
        }

    def with_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that has a dumped state.

        Raises:
            ArtifactError: The state does not fit; `problems` lists every reason.
        """
        clone, problems = copy.deepcopy(self), _damage(state)
        if problems:
            raise ArtifactError("the state is damaged", problems=problems)
        try:
            words = dspy.signature_state(self.signature, state.get("signature", {}))
            clone.signature = self.signature.load_state(words)
        except SignatureError as error:
            problems.append(str(error))
        try:
            clone.demo_selector = selector_from_json(state.get("demo_selector"))
        except (ArtifactError, ValueError, KeyError, TypeError) as error:
            problems.append(str(error))
        demos = []
        for number, demo in enumerate(state.get("demos", ())):
            try:
                demos.append(_typed(self.signature, demo))
            except ValueError as error:
                problems.append(f"demo {number}: {error}")
        if problems:
            raise ArtifactError(f"the state does not fit {self.signature!r}", problems=problems)
        clone.demos = demos
        if "config" in state:  # DSPy's own files lack it
            private = {name: value for name, value in self.config.items() if is_private(name)}
            clone.config = {**{k: v for k, v in state["config"].items() if not is_private(k)}, **private}
        return clone

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a dumped state.

        Raises:
            ArtifactError: The state does not fit; it lists every reason, and nothing was changed.
        """
        self.assign(self.with_state(state))

    def assign(self, other: Predictor) -> None:
        """Take over what optimization can change from another predictor."""
        self.signature, self.config = other.signature, dict(other.config)
        self.demos, self.demo_selector = other.demos, other.demo_selector

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = copy.copy(self)  # signature, demos and LM are shared: none of them is ever changed in place
        clone.config = dict(self.config)
        for log in ("history", "_dspex_calls"):  # a copy has made no calls yet
            clone.__dict__.pop(log, None)
        memo[id(self)] = clone
        return clone


def _told(module: Module, inputs: dict[str, Any], flow: Flow[Any]) -> Flow[Any]:
    """Tell the listeners of a program's run."""
    with span(module.span_kind, {"module": module, "inputs": inputs}) as attributes:
        result = yield from flow
        attributes["result"] = result
    return result


def _counted(flow: Flow[Any]) -> Flow[Any]:
    """Run a program's flow, and let its prediction say what it took."""
    with track_usage() as usage:
        prediction = yield from flow
    if isinstance(prediction, Prediction):
        prediction.set_lm_usage(usage.get_total_tokens())
    return prediction


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


def _replace(root: Module, path: str, predictor: Predictor) -> None:
    """Put a predictor in the place of the one at `path`; containers on the way are searched by identity."""
    if path == "self":
        raise ValueError("a predictor cannot be replaced inside itself")
    old = dict(root.named_predictors())[path]
    for _, module in list(root.named_modules()):
        for name, value in vars(module).items():
            replaced = _substitute(value, old, predictor)
            if replaced is not value:
                setattr(module, name, replaced)


def _substitute(value: Any, old: Predictor, new: Predictor) -> Any:
    if value is old:
        return new
    if isinstance(value, list | tuple) and any(_substitute(item, old, new) is not item for item in value):
        return type(value)([_substitute(item, old, new) for item in value])
    if isinstance(value, dict) and any(_substitute(item, old, new) is not item for item in value.values()):
        return {key: _substitute(item, old, new) for key, item in value.items()}
    return value


def _typed(signature: type[Signature], demo: Mapping[str, Any]) -> dict[str, Any]:
    """Give a demo's values, which were stored as JSON, the types that the signature declares."""
    fields = signature.fields
    return {name: fields[name].validate(value) if name in fields else value for name, value in demo.items()}


def _damage(state: Any) -> list[str]:
    """Say which parts of a predictor's state are not of the kind that `dump_state` returns."""
    if not isinstance(state, Mapping):
        return [f"it is no mapping: {state!r}"]
    kinds = {"signature": Mapping, "demos": list | tuple, "demo_selector": Mapping | None, "config": Mapping}
    damage = [
        f"its {name} cannot be {state[name]!r}"
        for name, kind in kinds.items()
        if name in state and not isinstance(state[name], kind)
    ]
    if damage:
        return damage
    return [
        f"demo {n} is no mapping: {d!r}" for n, d in enumerate(state.get("demos", ())) if not isinstance(d, Mapping)
    ]
