"""A program of DSPy as one of ours: DSPy runs it; its LM calls, state and trace are ours. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any, Self

from dspex_core.config import current
from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.example import Example, Record
from dspex_core.flow.steps import Call
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.lm import DspysLM, Origin, as_dspy_lm, as_our_lm, our_lm
from dspex_core.interop.dspy_bridge.signatures import our_signature, with_words
from dspex_core.interop.dspy_bridge.values import dspy_inputs, our_error, our_prediction
from dspex_core.lm.base import BaseLM
from dspex_core.plain.display import value_text
from dspex_core.programs.base import Module, Predictor
from dspex_core.programs.demo_list import DemoList
from dspex_core.programs.predict import adapter_for
from dspex_core.programs.saving import dspy_format
from dspex_core.signatures.signature import SignatureMeta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core.signatures.signature import Signature


class DspyPredictor(Predictor):
    """A `dspy.Predict` as a predictor of ours. It has no state of its own: all is read from there and written there.

    Args:
        predict: The `dspy.Predict`.
    """

    changeable = frozenset()
    _adapter = None

    def __init__(self, predict: Any) -> None:
        self.predict = predict

    @property
    def signature(self) -> type[Signature]:
        """The signature; the types are DSPy's."""
        theirs = self.predict.signature
        known = self.__dict__.get("_signature")
        if known is None or known[0] is not theirs:
            known = self.__dict__["_signature"] = (theirs, our_signature(theirs))
        found: type[Signature] = known[1]
        return found

    @signature.setter
    def signature(self, changed: type[Signature]) -> None:
        """Change the words of the signature."""
        if not isinstance(changed, SignatureMeta):
            raise ConfigurationError(
                "a predictor of DSPy gets its signature by a change of the one it has, such as "
                f"predictor.signature.with_instructions('...'), not {value_text(changed, 200)}"
            )
        self.predict.signature = with_words(self.predict.signature, changed)

    @property
    def config(self) -> dict[str, Any]:
        """The sampling parameters of every call."""
        found: dict[str, Any] = self.predict.config
        return found

    @config.setter
    def config(self, changed: dict[str, Any]) -> None:
        """Replace the sampling parameters."""
        if not isinstance(changed, Mapping):
            raise ConfigurationError(
                f"the config of a predictor is sampling parameters by name, not {value_text(changed, 200)}"
            )
        self.predict.config = dict(changed)

    @property
    def lm(self) -> Any:
        """The LM of its own; one of DSPy's that was set there is wrapped."""
        return None if self.predict.lm is None else as_our_lm(self.predict.lm)

    @lm.setter
    def lm(self, lm: Any) -> None:
        """Replace the LM."""
        theirs = lm.theirs if isinstance(lm, DspysLM) else lm
        self.predict.lm = as_dspy_lm(theirs) if isinstance(theirs, BaseLM) else theirs

    @property
    def demo_selector(self) -> None:
        """None: DSPy's predictors show the same demos in each call."""
        return

    @demo_selector.setter
    def demo_selector(self, selector: Any) -> None:
        """Refuse a selector."""
        if selector is not None:
            raise ConfigurationError(
                f"a predictor of DSPy cannot choose its demos in each call, as {selector!r} does: convert the program "
                "with from_dspy(...)"
            )

    @property
    def adapter(self) -> None:
        """None: DSPy's predictors use the adapter of its settings."""
        return

    @adapter.setter
    def adapter(self, adapter: Any) -> None:
        """Refuse an adapter."""
        if adapter is not None:
            raise ConfigurationError(
                f"a predictor of DSPy has no adapter of its own, such as {adapter!r}: convert the program with "
                "from_dspy(...), or set the adapter for all of it, dspy.configure(adapter=...)"
            )

    @property
    def demos(self) -> DemoList:
        """The worked examples."""
        return DemoList(self._demos, self._write_demos)

    @demos.setter
    def demos(self, demos: Any) -> None:
        """Replace the worked examples."""
        if not isinstance(demos, Iterable):
            raise ConfigurationError(f"the demos of a predictor are a list of examples, not {value_text(demos, 200)}")
        self._write_demos(tuple(demos))

    @property
    def _demos(self) -> Sequence[Any]:  # type: ignore[override]  # read here and written by `_write_demos` only
        return tuple(Example(dict(demo.items())) for demo in self.predict.demos)

    def _write_demos(self, demos: tuple[Any, ...]) -> None:
        kind = library().Example
        if wrong := [demo for demo in demos if not isinstance(demo, Mapping | Record | kind)]:
            raise ConfigurationError(f"a demo is an example, or a dict of its fields, not {value_text(wrong[0], 200)}")
        self.predict.demos = [kind(dict(demo.items())) for demo in demos]

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """Ask the LM once, as DSPy does."""
        with bridged({id(self.predict): self}):
            return our_prediction(self.predict(*args, **dspy_inputs(inputs)))

    async def aforward(self, *args: Any, **inputs: Any) -> Any:
        """`forward` without blocking the event loop."""
        with bridged({id(self.predict): self}):
            return our_prediction(await self.predict.acall(*args, **dspy_inputs(inputs)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = memo[id(self)] = type(self)(_copied(self.predict))
        clone.__dict__.update({name: self.__dict__[name] for name in _KEPT if name in self.__dict__})
        return clone

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.signature!r})"


class DspyProgram(Module):
    """A program of DSPy where one of ours is expected.

    DSPy runs it, with its own adapters. An LM that it does not have itself is that of our settings. Its predictors are
    parts whose state can be optimized, saved and loaded, and attributes are those of the program.

    Args:
        module: The `dspy.Module`.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        parts = {path: DspyPredictor(predict) for path, predict in _predictors(module)}
        self._parts: Callable[[], dict[str, DspyPredictor]] = _Held(parts)  # not a part that `walk` finds by itself

    def forward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program in DSPy."""
        if not self._defines("forward"):
            return Call(self.aforward, args, inputs).run()
        with bridged(self._by_id()):
            return our_prediction(self.module(*args, **dspy_inputs(inputs)))

    async def aforward(self, *args: Any, **inputs: Any) -> Any:
        """Run the program in DSPy without blocking the event loop; in a thread where it has no `aforward`."""
        if not self._defines("aforward"):
            return await Call(self.forward, args, inputs).arun()
        with bridged(self._by_id()):
            return our_prediction(await self.module.acall(*args, **dspy_inputs(inputs)))

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """Yield this program and its predictors, with DSPy's paths."""
        if "self" not in self._parts():
            yield "self", self
        yield from self._parts().items()

    def coded_parts(self) -> Iterator[tuple[str, Any]]:
        """Yield DSPy's modules, whose code runs."""
        yield from _sub_modules(self.module, library().Module)

    def named_predictors(self) -> list[tuple[str, Predictor]]:
        """Return the predictors with their paths, without those of compiled parts."""
        names = {name for name, _ in self.module.named_predictors()}
        return [(path, part) for path, part in self._parts().items() if path in names]

    def every_predictor(self) -> list[tuple[str, Predictor]]:
        """Return every predictor with its path."""
        return list(self._parts().items())

    def map_named_predictors(self, func: Callable[[Predictor], Predictor]) -> Self:
        """Let `func` change each predictor; it cannot replace one."""
        for path, part in self.named_predictors():
            if func(part) is not part:
                raise ConfigurationError(f"{path} is a predictor of DSPy, which cannot be replaced by one of ours")
        return self

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `dump_state` or DSPy's `dump_state` returned."""
        if dspy_format.is_dspy_state(state):
            state = dspy_format.predictor_states(state)
        alone = "self" in self._parts() and isinstance(state, Mapping) and "signature" in state
        super().load_state({"self": state} if alone else state)

    def constructor_arguments(self) -> dict[str, Any]:
        """Refuse: which class of DSPy's project is to be made again, and how, no file of ours can say.

        Raises:
            ArtifactError: Always.
        """
        raise ArtifactError(
            f"{type(self.module).__name__} is a program of DSPy, of which a file keeps the state alone: save it "
            "without save_program=True, and load the file into the program that your code makes"
        )

    def parameters_of_call(self) -> Any:
        """Return the method whose parameters are the inputs; DSPy warns of reading `forward` from a program."""
        function = vars(type(self.module)).get("forward") or getattr(type(self.module), "aforward", None)
        return None if function is None else MethodType(function, self.module)

    def _defines(self, method: str) -> bool:
        kind = type(self.module)
        if not (hasattr(kind, "forward") or hasattr(kind, "aforward")):
            raise NotImplementedError(f"{kind.__name__}, a program of DSPy, defines neither forward nor aforward")
        return hasattr(kind, method)

    def _by_id(self) -> dict[int, DspyPredictor]:
        return {id(part.predict): part for part in self._parts().values()}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = memo[id(self)] = type(self)(_copied(self.module))
        own = {"module", "_parts", "history", "_dspex_calls"}
        clone.__dict__.update({name: value for name, value in self.__dict__.items() if name not in own})
        for path, part in clone._parts().items():  # noqa: SLF001  its own kind
            kept = vars(self._parts()[path])
            part.__dict__.update({name: kept[name] for name in _KEPT if name in kept})
        return clone

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(type(self), name) and name in vars(self.__dict__.get("module", self)):
            raise ConfigurationError(
                f"{name!r} is an attribute of {type(self.module).__name__}, a program of DSPy, which would not see the "
                "new value: set it there, before the program is adopted"
            )
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("module", "_parts"):
            raise AttributeError(name)
        return getattr(self.module, name)  # the user's own attributes, which only he knows

    def __repr__(self) -> str:
        lines = [f"  {path}: {part!r}" for path, part in self._parts().items()]
        return "\n".join([f"{type(self).__name__} of {type(self.module).__name__}:", *lines])


class _Held:
    """Holds the predictors, so that nothing takes them for attributes of the program."""

    __slots__ = ("_parts",)

    def __init__(self, parts: dict[str, DspyPredictor]) -> None:
        self._parts = parts

    def __call__(self) -> dict[str, DspyPredictor]:
        return self._parts


def adopted_program(module: Any) -> Any:
    """Return a `dspy.Module` as a program of ours."""
    library()  # not an alias of ours
    return DspyProgram(module)


_KEPT = ("_dspex_declared",)  # of a predictor, for its copies


def _predictors(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the predictors with their paths, those of compiled parts last."""
    seen = set()
    for path, predict in module.named_predictors():
        seen.add(id(predict))
        yield path, predict
    yield from ((path, predict) for path, predict in _sub_modules(module, library().Predict) if id(predict) not in seen)


def _sub_modules(module: Any, kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a kind with their paths.

    DSPy takes for parts what stands in an attribute, or in a collection there. Deeper, its optimizers note the
    candidates that they have tried: no part of the program, and not in a state that another one can take over.
    """
    for path, part in module.named_sub_modules(kind):
        if "][" not in path:
            yield path.removeprefix("self.").removeprefix("self") or "self", part


def _copied(module: Any) -> Any:
    """Return a copy with a state of its own; LMs are shared."""
    found = module.deepcopy()
    for (_, old), (_, new) in zip(_predictors(module), _predictors(found), strict=True):
        new.lm, new.demos, new.config = old.lm, copy.copy(old.demos), dict(old.config)
    return found


@contextmanager
def bridged(parts: Mapping[int, DspyPredictor], *, own_trace: bool = True) -> Iterator[None]:
    """Run DSPy's code: with the LM of our settings where DSPy has none, and its trace and errors as ours.

    Without `own_trace` its calls stay in the trace of whoever calls it from DSPy.
    """
    with Origin.here(), _in_dspy(parts, own_trace=own_trace):
        yield


@contextmanager
def _in_dspy(parts: Mapping[int, DspyPredictor], *, own_trace: bool) -> Iterator[None]:
    dspy, settings = library(), current()
    entries: list[Any] = []
    chosen: dict[str, Any] = Origin.as_setting()
    if own_trace:
        chosen["trace"] = entries
    if dspy.settings.lm is None:
        chosen["lm"] = as_dspy_lm()
    if dspy.settings.adapter is None:
        asked = settings.lm if dspy.settings.lm is None else our_lm(dspy.settings.lm) or settings.lm
        chosen["adapter"] = _adapter_like(asked)
    try:
        with dspy.context(**chosen):
            yield
    except dspy.utils.exceptions.DSPyError as error:
        known = our_error(error)
        if known is error:
            raise
        raise known from error
    finally:
        if settings.trace is not None:
            settings.trace.extend(
                (parts.get(id(predict)) or DspyPredictor(predict), dict(inputs), our_prediction(made))
                for predict, inputs, made in entries
            )


def _adapter_like(lm: Any) -> Any:
    """Return DSPy's adapter that is like ours: the one in our settings, else the one that the LM prefers."""
    if lm is not None and not isinstance(lm, BaseLM):
        return None
    known = {"ChatAdapter", "JSONAdapter", "XMLAdapter"}
    name = next((kind.__name__ for kind in type(adapter_for(lm)).__mro__ if kind.__name__ in known), None)
    return None if name is None else vars(library())[name]()
