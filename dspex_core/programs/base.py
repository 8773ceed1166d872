"""The base of all programs. PYTEST_DONT_REWRITE

A built-in program writes its logic once, as `flow`; `__call__` drives it in this thread and
`acall` in the event loop. A user's program writes `forward` (or `aforward`) instead.
"""

from __future__ import annotations

import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TextIO

from dspex_core.adapters.base import Adapter
from dspex_core.adapters.stored import adapter_from_json
from dspex_core.config import current
from dspex_core.errors import ArtifactError, ConfigurationError, SignatureError
from dspex_core.example import Example
from dspex_core.flow.steps import Call, Flow, SyncOrAsync, adrive, drive
from dspex_core.lm.history import CallLog, noting_in
from dspex_core.plain.display import value_text
from dspex_core.programs.batch import Batch
from dspex_core.programs.demo_list import DemoList
from dspex_core.programs.demos.selector import selector_from_json
from dspex_core.programs.demos.stored import demo_from_json, demo_to_json
from dspex_core.programs.driving import counted, driving
from dspex_core.programs.saving import dspy_format as dspy
from dspex_core.programs.saving.declared import Declared
from dspex_core.programs.saving.saved import Saved
from dspex_core.programs.saving.state import adapter_state, damage, noted, others, sampling_only
from dspex_core.programs.saving.tree import replace, sub_modules, walk
from dspex_core.telemetry.spans import in_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel, Listener
    from dspex_core.example import Record
    from dspex_core.programs.batch import Work
    from dspex_core.programs.demos.selector import DemoSelector
    from dspex_core.signatures.signature import Signature

    Changeable = Literal["adapter", "choices", "demo_selector"]


class Module(Saved):
    """A program: it holds predictors and other modules as attributes, and says how they work together.

    Subclasses define `forward(**inputs)`, or `aforward`, or (as the built-in ones) `flow`.

    Args:
        callbacks: Receive events of this program's calls, in addition to those in the settings; see `BaseCallback`.

    `span_kind` is what telemetry calls its runs; `"agent"` for a program that decides itself what to do next.
    """

    span_kind: ClassVar[str] = "module"
    _declared: ClassVar[tuple[Any, Any]]  # `forward` and `aforward`, as the class has defined them

    def __init__(self, callbacks: Sequence[Listener] | None = None) -> None:
        if callbacks:
            self.callbacks = callbacks

    def __init_subclass__(cls, **options: Any) -> None:
        """Let `flow`, `forward` and `aforward` of a class be one logic, whichever of them it defines."""
        super().__init_subclass__(**options)
        own = vars(cls)
        if "flow" in own:
            cls.forward, cls.aforward = driving(own["flow"])  # type: ignore[method-assign]  # so `super().forward()` works
        elif "forward" in own or "aforward" in own:
            cls.flow = Module.flow  # type: ignore[method-assign]  # that of a built-in base is overridden, too
            cls.forward = own.get("forward", Module.forward)  # type: ignore[method-assign]
            cls.aforward = own.get("aforward", Module.aforward)  # type: ignore[method-assign]
        cls._declared = cls.forward, cls.aforward

    def flow(self, *args: Any, **inputs: Any) -> Flow[Any]:
        """Run the program's logic as a flow; by default it is one step that calls `forward` or `aforward`."""
        return (yield SyncOrAsync(Call(self.forward, args, inputs), Call(self.aforward, args, inputs)))

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program's logic; a subclass writes it here, in plain Python."""
        if type(self).aforward is Module.aforward:
            raise NotImplementedError(f"{type(self).__name__} defines neither forward nor aforward")
        return Call(self.aforward, args, inputs).run()

    async def aforward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program's logic without blocking; by default `forward` in a thread."""
        return await Call(self.forward, args, inputs).arun()

    def parameters_of_call(self) -> Callable[..., Any] | None:
        """Return the function whose parameters are the inputs, where that is not `forward` or `aforward`."""
        return None

    def steps(self, *args: Any, **inputs: Any) -> Flow[Any]:
        """Run the program as a part of another flow: `prediction = yield from Module.steps(module, ...)`.

        Called on the class, like `flow`: a user's program may well have an attribute of that name.
        """
        settings = current()
        logic = Module.flow if has_stand_in(self) else type(self).flow
        flow = logic(self, *args, **inputs)
        if settings.track_usage:
            flow = counted(flow)
        if settings.listeners or settings.callbacks or self.callbacks:
            event = {"instance": self, "args": args, "inputs": inputs}
            flow = in_span(self.span_kind, event, self.callbacks, flow)
        with noting_in(self._dspex_calls):
            return (yield from flow)

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the program on its inputs and return its prediction."""
        return drive(Module.steps(self, *args, **inputs))

    async def acall(self, *args: Any, **inputs: Any) -> Any:
        """Run the program without blocking the event loop."""
        return await adrive(Module.steps(self, *args, **inputs))

    def batch(self, examples: Sequence[Example], num_threads: int | None = None, **options: Any) -> Any:
        """Run the program on the inputs of many examples, some at the same time.

        Args:
            examples: The examples; `with_inputs` has named their inputs.
            num_threads: How many run at once; `settings.num_threads` by default.
            **options: `max_errors`, `return_failed_examples`, `provide_traceback`,
                `disable_progress_bar`, `timeout` and `executor`, as for `Parallel`.

        Returns and raises what `Parallel` does.
        """
        return drive(Batch(num_threads, **options).steps(self._work(examples)))

    async def abatch(self, examples: Sequence[Example], num_threads: int | None = None, **options: Any) -> Any:
        """`batch` without blocking the event loop."""
        return await adrive(Batch(num_threads, **options).steps(self._work(examples)))

    def _work(self, examples: Sequence[Example]) -> Work:
        return [(example, partial(running, self, **example.inputs())) for example in examples]

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
        """Return the predictors with their paths, such as `"search.steps[0]"`; each once.

        Those of a part whose `_compiled` is true are left out, as no optimizer is to change them.
        """
        modules = walk("", self, set(), _is_frozen)
        return [(path, module) for path, module in modules if isinstance(module, Predictor)]

    def every_predictor(self) -> list[tuple[str, Predictor]]:
        """Return every predictor as `named_predictors` does, those of compiled parts included."""
        return [(path, module) for path, module in self.named_modules() if isinstance(module, Predictor)]

    def named_parameters(self) -> list[tuple[str, Predictor]]:
        """Return what optimizers change, as DSPy calls it: `named_predictors`."""
        return self.named_predictors()

    def parameters(self) -> list[Predictor]:
        """Return what optimizers change: `predictors`."""
        return self.predictors()

    def named_sub_modules(
        self,
        type_: type | None = None,
        skip_compiled: bool = False,  # noqa: FBT001, FBT002  as in DSPy
    ) -> Iterator[tuple[str, Any]]:
        """Yield this module (as `"self"`) and all in it, breadth first, with paths such as `"self.steps[0]"`.

        Args:
            type_: Only those of this class.
            skip_compiled: Whether to leave out what is in parts whose `_compiled` is true.
        """
        return sub_modules(self, type_ or Module, skip_compiled=skip_compiled)

    def predictors(self) -> list[Predictor]:
        """Return the predictors that `named_predictors` names."""
        return [predictor for _, predictor in self.named_predictors()]

    def map_named_predictors(self, func: Callable[[Predictor], Predictor]) -> Self:
        """Replace each predictor by what `func` makes of it; return this program."""
        for predictor in self.predictors():
            if predictor is self:
                raise ValueError("a predictor cannot be replaced inside itself")
            replace(self, predictor, func(predictor))
        return self

    def set_lm(self, lm: LanguageModel | None) -> None:
        """Let every predictor use this LM; `None` for the one in the settings."""
        for _, predictor in self.every_predictor():
            predictor.lm = lm

    def get_lm(self) -> LanguageModel | None:
        """Return the LM that all predictors share.

        Raises:
            ValueError: They have different ones.
        """
        found = {id(predictor.lm): predictor.lm for _, predictor in self.every_predictor()}
        if len(found) > 1:
            raise ValueError(f"the predictors use different LMs: {', '.join(map(repr, found.values()))}")
        return next(iter(found.values()), None)

    def reset_copy(self) -> Self:
        """Return a copy whose predictors have no demos and no LM of their own."""
        clone = self.deepcopy()
        for _, predictor in clone.every_predictor():
            predictor.reset()
        return clone

    def __repr__(self) -> str:
        lines = [f"  {path}: {predictor!r}" for path, predictor in self.every_predictor()]
        return "\n".join([f"{type(self).__name__}:", *lines])


class Predictor(Declared, Module):
    """A module that calls the LM itself, with what an optimizer can change; `Predict` is the one there is.

    Args:
        signature: The task.
        config: Sampling parameters of every call.
        callbacks: Receive events of this predictor's calls, in addition to those in the settings.

    `changeable` names what not every kind of predictor can keep beside its words, demos and config. An optimizer leaves
    out what a predictor cannot keep.
    """

    changeable: ClassVar[frozenset[Changeable]] = frozenset(("adapter", "choices", "demo_selector"))

    def __init__(
        self, signature: type[Signature], config: dict[str, Any], callbacks: Sequence[Listener] | None = None
    ) -> None:
        super().__init__(callbacks)
        self.signature = signature
        self.config = config
        self.lm: LanguageModel | None = None
        self.demo_selector: DemoSelector | None = None
        self._adapter: Adapter | None = None
        self._demos: tuple[Mapping[str, Any], ...] = ()

    @property
    def demos(self) -> DemoList:
        """The worked examples: a list of mappings from field to value. Copies share them until one changes its own."""
        found = self.__dict__.get("_demo_list")
        if found is None or found[0] is not self:  # a shallow copy has its original's
            found = self.__dict__["_demo_list"] = (self, DemoList(self._demos, self._write_demos))
        shown: DemoList = found[1]
        return shown

    @demos.setter
    def demos(self, demos: Iterable[Mapping[str, Any] | Record]) -> None:
        """Replace the worked examples."""
        self._write_demos(tuple(demos))
        owner, shown = self.__dict__.pop("_demo_list", (None, None))
        if owner is self and shown is not None:
            shown.detach()

    def _write_demos(self, demos: tuple[Any, ...]) -> None:
        self._demos = demos

    @property
    def adapter(self) -> Adapter | None:
        """The format of its prompts and replies, whatever the settings say; `None` for the one in the settings."""
        return self._adapter

    @adapter.setter
    def adapter(self, adapter: Adapter | None) -> None:
        """Replace the format."""
        if adapter is not None and not isinstance(adapter, Adapter):
            raise ConfigurationError(
                f"an adapter is one such as JSONAdapter(), or None, not {value_text(adapter, 200)}"
            )
        self._adapter = adapter

    def reset(self) -> None:
        """Forget demos and LM."""
        self.demos, self.demo_selector, self.lm = (), None, None

    def dump_state(self) -> dict[str, Any]:
        """Return what optimization can change: instructions, descriptions, demos, their choice, config, adapter."""
        return {
            "signature": self.signature.dump_state(),
            "demos": [demo_to_json(self.signature, demo) for demo in self.demos],
            "demo_selector": self.demo_selector.to_json() if self.demo_selector else None,
            "config": sampling_only(self.config, source="the program"),
            **adapter_state(self._adapter),
        }

    def with_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that has a dumped state.

        Raises:
            ArtifactError: The state does not fit; `problems` lists every reason.
        """
        clone, problems = copy.deepcopy(self), damage(state)
        if problems:
            raise ArtifactError("the state is damaged", problems=problems)
        with noted(problems, SignatureError, ConfigurationError):
            words = dspy.signature_state(self.signature, state.get("signature", {}))
            clone.signature = self.signature.load_state(words)
        with noted(problems, ArtifactError, ValueError, KeyError, TypeError):
            if "adapter" in state:  # else it stays as the program has it
                clone.adapter = adapter_from_json(state["adapter"])
            clone.demo_selector = selector_from_json(state.get("demo_selector"))
        demos = []
        for number, demo in enumerate(state.get("demos", ())):
            with noted(problems, Exception, before=f"demo {number}: "):  # validators are the user's code
                demos.append(demo_from_json(self.signature, demo))
        if problems:
            raise ArtifactError(f"the state does not fit {self.signature!r}", problems=problems)
        clone.demos = [Example(demo) for demo in demos]
        if "config" in state:  # DSPy's own files lack it
            clone.config = {**sampling_only(state["config"], source="the file"), **others(self.config)}
        return clone

    def load_state(self, state: Mapping[str, Any]) -> Self:  # type: ignore[override]  # as in DSPy
        """Take over a dumped state; return this predictor.

        Raises:
            ArtifactError: The state does not fit; it lists every reason, and nothing was changed.
        """
        self.assign(self.with_state(state))
        return self

    def get_config(self) -> dict[str, Any]:
        """Return the sampling parameters of every call."""
        return self.config

    def update_config(self, **config: Any) -> None:
        """Change some sampling parameters of every call."""
        self.config = {**self.config, **config}

    def assign(self, other: Predictor) -> None:
        """Take over what optimization can change from another predictor."""
        self.declare(self.declared)
        self.signature, self.config = other.signature, dict(other.config)
        self.demos, self.demo_selector, self.adapter = other.demos, other.demo_selector, other.adapter

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = copy.copy(self)  # signature, demos and LM are shared: none of them is ever changed in place
        clone.config = dict(self.config)
        for own in ("history", "_dspex_calls", "_demo_list"):  # a copy has made no calls yet
            clone.__dict__.pop(own, None)
        memo[id(self)] = clone
        return clone


def _is_frozen(module: Module) -> bool:
    return module._compiled and not isinstance(module, Predictor)  # noqa: SLF001  its own kind


def has_stand_in(module: Module) -> bool:
    """Whether something has been put in the place of `forward` or `aforward`, as tests and notebooks do."""
    kind, own = type(module), module.__dict__
    return (kind.forward, kind.aforward) != kind._declared or "forward" in own or "aforward" in own  # noqa: SLF001  its own kind


def is_called_its_own_way(program: Any) -> bool:
    """Whether a program is a function or a mock, or a module with a `__call__` or `acall` of its own."""
    kind = type(program)
    return not isinstance(program, Module) or kind.__call__ is not _CALLS[0] or kind.acall is not _CALLS[1]


_CALLS = Module.__call__, Module.acall  # as they are before a test patches them
Module._declared = Module.forward, Module.aforward  # noqa: SLF001  as for each subclass


def running(program: Callable[..., Any], /, *args: Any, **inputs: Any) -> Flow[Any]:
    """Run a program as a part of another flow: a function or a mock, or a module, maybe with a call of its own."""
    if not is_called_its_own_way(program):
        return (yield from Module.steps(program, *args, **inputs))  # type: ignore[arg-type]  # a module
    if not isinstance(program, Module):
        return (yield Call(program, args, inputs))
    asked = program if type(program).acall is _CALLS[1] else program.acall
    return (yield SyncOrAsync(Call(program, args, inputs), Call(asked, args, inputs)))
