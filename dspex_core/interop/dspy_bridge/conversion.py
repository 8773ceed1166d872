"""`from_dspy` and `to_dspy`: programs made anew in the other library, with their state. PYTEST_DONT_REWRITE

A built-in program becomes the one of the same name. A program of the user's becomes one with the same methods and
attributes, whose parts are converted; what these methods return is converted, too.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.errors import ConfigurationError, DSPexError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.lm import as_dspy_lm, our_lm
from dspex_core.interop.dspy_bridge.program import DspyProgram, bridged
from dspex_core.interop.dspy_bridge.signatures import dspy_signature, our_signature, our_type, with_words
from dspex_core.interop.dspy_bridge.values import adopted_example, dspy_example, dspy_prediction, our_prediction
from dspex_core.interpreter.python import PythonInterpreter
from dspex_core.lm.base import BaseLM
from dspex_core.lm.client import LM
from dspex_core.plain.display import value_text
from dspex_core.programs.agents.react import ReAct
from dspex_core.programs.agents.react_v2 import ReActV2
from dspex_core.programs.attempts.best_of_n import BestOfN, Refine
from dspex_core.programs.attempts.comparison import MultiChainComparison
from dspex_core.programs.base import Module
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.code.code_act import CodeAct
from dspex_core.programs.code.program_of_thought import ProgramOfThought
from dspex_core.programs.predict import Predict
from dspex_core.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of a class, what a class statement adds by itself.
_BY_ITSELF = frozenset({"__dict__", "__weakref__", "__init__", "__module__", "__doc__", "_declared", "__annotations__"})
_OF_LIBRARY = frozenset({"callbacks", "history", "_dspex_calls", "_dspex_origin", "_dspex_trials"})
_METHOD = "_dspex_method"
_LAST = ("finish", "submit")  # tools that an agent adds by itself


def from_dspy(module: Any) -> Module:
    """Return a program of DSPy as one of ours, which runs without DSPy as far as the user's own code does.

    Raises:
        ConfigurationError: A part cannot be converted; the message names each such part, and says why.
    """
    if isinstance(module, DspyProgram):
        module = module.module
    if not isinstance(module, library().Module):
        raise ConfigurationError(f"from_dspy takes a dspy.Module, not {value_text(module, 200)}")
    converted: Module = _ToOurs().program(module)
    return converted


def to_dspy(program: Module) -> Any:
    """Return a program of ours as a `dspy.Module`.

    Raises:
        ConfigurationError: A part cannot be converted; the message names each such part, and says why.
    """
    if isinstance(program, DspyProgram):
        return program.module.deepcopy()
    if not isinstance(program, Module):
        raise ConfigurationError(f"to_dspy takes a program of dspex_core, not {value_text(program, 200)}")
    return _ToDspy().program(program)


class _Refusal(Exception):  # noqa: N818  never leaves this module
    """A part cannot be converted, for the reason in the message."""


class _Converter(ABC):
    """Converts the parts of one program; a part that is in two places stays one."""

    base: Any  # the class of all modules there, and here
    own: Any
    own_trace: bool  # whether calls are in our trace, not in that of DSPy's code, such as an optimizer, around it

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._problems: list[str] = []

    def program(self, program: Any) -> Any:
        """Convert it, or raise the error that names each part that cannot be."""
        made = self.value(program, "")
        if self._problems:
            lines = "".join(f"\n  {problem}" for problem in self._problems)
            raise ConfigurationError(f"this {type(program).__name__} cannot be converted:{lines}")
        return made

    def value(self, value: Any, path: str) -> Any:
        """Convert a module, or the modules in a container; other values stay as they are."""
        if isinstance(value, self.own):
            if id(value) not in self._made:
                self._made[id(value)] = None  # a part that holds itself, until it is made
                self._made[id(value)] = self._module(value, path)
            return self._made[id(value)]
        if type(value) is tuple:
            return tuple(self.value(item, f"{path}[{place}]") for place, item in enumerate(value))
        if type(value) in (list, dict):
            if id(value) not in self._made:
                made = self._made[id(value)] = type(value)()  # it may hold itself
                if isinstance(value, list):
                    made.extend(self.value(item, f"{path}[{place}]") for place, item in enumerate(value))
                else:
                    made.update({key: self.value(item, f"{path}[{key!r}]") for key, item in value.items()})
            return self._made[id(value)]
        return value

    def _module(self, module: Any, path: str) -> Any:
        try:
            if self.is_built_in(module):
                return self._built_in(module, path)
            return self._of_user(module, path)
        except (_Refusal, DSPexError, NotImplementedError) as refusal:
            self._problems.append(f"{path or 'self'} ({type(module).__name__}): {refusal}")
            return None

    def _built_in(self, module: Any, path: str) -> Any:
        make = self.makers().get(type(module).__name__)
        if make is None:
            known = ", ".join(sorted(self.makers()))
            raise _Refusal(f"of the built-in programs, these can be converted: {known}")
        with foreign_code():  # DSPy warns of programs that it will drop
            made = make(module, path)
        if made is None:  # a part of it has said why
            return None
        targets = dict(self.predictors(made))
        for name, old in self.predictors(module):
            if name in targets and (old is module or id(old) not in self._made):
                self.set_state(old, targets[name])
        return made

    def _of_user(self, module: Any, path: str) -> Any:
        kind = type(module)
        made = self.new(self._class_like(kind))
        self._made[id(module)] = made
        for name, attribute in vars(module).items():
            if name not in _OF_LIBRARY:
                vars(made)[name] = self.value(attribute, f"{path}.{name}" if path else name)
        return made

    def _class_like(self, kind: type) -> Any:
        """Return a class with the members of a user's class, on the other library's base."""
        mine = [base for base in kind.__mro__ if issubclass(base, self.own) and base is not self.own]
        for base in mine:
            if self.is_of_library(base):
                raise _Refusal(f"it is a {base.__name__} with code of its own; derive it from Module instead")
            if vars(base).get("__slots__"):
                raise _Refusal(f"{base.__name__} has __slots__, and only attributes in __dict__ are converted")
        members: dict[str, Any] = {}
        for base in reversed(mine):
            members.update({name: value for name, value in vars(base).items() if name not in _BY_ITSELF})
        for name, member in members.items():
            if any("__class__" in function.__code__.co_freevars for function in _functions_of(member)):
                raise _Refusal(f"its method {name} uses super() or __class__, which name the class it was written in")
        if not {"forward", "aforward"} & members.keys():
            raise _Refusal("it defines neither forward nor aforward")
        for name in ("forward", "aforward"):
            if name in members:
                members[name] = self.wrapped(members[name])
        namespace = {**members, "__doc__": kind.__doc__, "__module__": kind.__module__}
        return type(self.base)(kind.__name__, self._bases_like(kind), namespace)

    def _bases_like(self, kind: type) -> tuple[type, ...]:
        """Return the other library's base, among the classes beside it that are of neither library."""
        known = (*self.own.__mro__, Generic)
        beside = [base for base in kind.__mro__ if base not in known and not issubclass(base, self.own)]
        first = [base for base in beside if kind.__mro__.index(base) < kind.__mro__.index(self.own)]
        return (*first, self.base, *(base for base in beside if base not in first))

    def wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `forward` or `aforward` whose result is the other library's."""
        method = getattr(method, _METHOD, method)  # that of a converted program, converted again
        made = self._arun(method) if inspect.iscoroutinefunction(method) else self._run(method)
        setattr(made, _METHOD, method)
        return made

    def _arun(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def arun(module: Any, *args: Any, **inputs: Any) -> Any:
            with bridged({}, own_trace=self.own_trace):
                return self.result(await method(module, *args, **inputs))

        return arun

    def _run(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def run(module: Any, *args: Any, **inputs: Any) -> Any:
            with bridged({}, own_trace=self.own_trace):
                return self.result(method(module, *args, **inputs))

        return run

    def best_of_n(self, kind: Any, module: Any, path: str) -> Any:
        """Return a `BestOfN` or `Refine`."""
        inner = self.value(module.module, f"{path}.module" if path else "module")
        if inner is None:
            return None
        reward = module.reward_fn

        def reward_fn(inputs: Any, prediction: Any) -> Any:
            return reward(inputs, prediction)

        return kind(inner, module.N, reward_fn, module.threshold, module.fail_count)

    @abstractmethod
    def is_of_library(self, kind: type) -> bool:
        """Whether a class is a built-in program."""

    def is_built_in(self, module: Any) -> bool:
        """Whether a module is one of the library's own."""
        return self.is_of_library(type(module))

    @abstractmethod
    def new(self, kind: Any) -> Any:
        """Return an instance without a call of its constructor."""

    @abstractmethod
    def predictors(self, module: Any) -> list[tuple[str, Any]]:
        """Return the predictors of a module of either library, with their paths."""

    @abstractmethod
    def makers(self) -> dict[str, Callable[[Any, str], Any]]:
        """Return how each built-in program is made, by the name of its class."""

    @abstractmethod
    def set_state(self, old: Any, new: Any) -> None:
        """Give a predictor the words, demos, sampling parameters and LM of another."""

    @abstractmethod
    def result(self, made: Any) -> Any:
        """Return a prediction as the other library's."""


def _predictors(module: Any) -> list[tuple[str, Any]]:
    return module.every_predictor() if isinstance(module, Module) else list(module.named_predictors())


class _ToOurs(_Converter):
    base, own_trace = Module, True

    def __init__(self) -> None:
        super().__init__()
        self.own = library().Module

    def is_of_library(self, kind: type) -> bool:
        return kind.__module__.partition(".")[0] == "dspy" and kind is not self.own

    def new(self, kind: Any) -> Any:
        return kind.__new__(kind)

    def predictors(self, module: Any) -> list[tuple[str, Any]]:
        return _predictors(module)

    def makers(self) -> dict[str, Callable[[Any, str], Any]]:
        return {
            "Predict": lambda old, _: Predict(our_signature(old.signature, our_type)),
            "ChainOfThought": lambda old, _: ChainOfThought(our_signature(old.predict.signature, our_type)),
            "ReAct": lambda old, _: ReAct(_task(old), list(_our_tools(old.tools.values())), old.max_iters),
            "MultiChainComparison": lambda old, _: MultiChainComparison(_compared(old), old.M),
            "ReActV2": lambda old, _: ReActV2(_task(old), list(_our_tools(old.tools.values())), old.max_iters),
            "CodeAct": lambda old, _: CodeAct(_task(old), _functions(old), old.max_iters, **_our_interpreter(old)),
            "ProgramOfThought": lambda old, _: ProgramOfThought(_task(old), old.max_iters, **_our_interpreter(old)),
            "BestOfN": functools.partial(self.best_of_n, BestOfN),
            "Refine": functools.partial(self.best_of_n, Refine),
        }

    def set_state(self, old: Any, new: Any) -> None:
        theirs = our_signature(old.signature, our_type)
        if theirs.fields.keys() == new.signature.fields.keys():
            new.signature = new.signature.load_state(theirs.dump_state())
        new.demos = [adopted_example(library().Example(dict(demo.items()))) for demo in old.demos]
        new.config = dict(old.config)
        new.lm = None if old.lm is None else _our_lm(old.lm)

    def result(self, made: Any) -> Any:
        return our_prediction(made)


class _ToDspy(_Converter):
    own, own_trace = Module, False

    def __init__(self) -> None:
        super().__init__()
        self.base = library().Module

    def is_of_library(self, kind: type) -> bool:
        return kind.__module__.partition(".")[0] == "dspex_core" and kind is not Module

    def new(self, kind: Any) -> Any:
        made = kind.__new__(kind)
        self.base.__init__(made)
        return made

    def predictors(self, module: Any) -> list[tuple[str, Any]]:
        return _predictors(module)

    def makers(self) -> dict[str, Callable[[Any, str], Any]]:
        dspy = library()
        return {
            "Predict": lambda old, _: dspy.Predict(dspy_signature(old.signature)),
            "ChainOfThought": lambda old, _: _dspy_chain(old),
            "ReAct": lambda old, _: dspy.ReAct(
                dspy_signature(old.signature), list(_dspy_tools(old.tools.values())), old.max_iters
            ),
            "ReActV2": lambda old, _: dspy.ReActV2(
                dspy_signature(old.signature), list(_dspy_tools(old.tools.values())), old.max_iters
            ),
            "ProgramOfThought": lambda old, _: dspy.ProgramOfThought(
                dspy_signature(old.signature), old.max_iters, **_dspy_interpreter(old)
            ),
            "BestOfN": functools.partial(self.best_of_n, dspy.BestOfN),
            "Refine": functools.partial(self.best_of_n, dspy.Refine),
        }

    def set_state(self, old: Any, new: Any) -> None:
        if old.demo_selector is not None:
            raise _Refusal(f"DSPy cannot choose demos in each call, as {old.demo_selector!r} does")
        if old.adapter is not None:
            raise _Refusal(f"DSPy has no adapter of a single predictor, such as {old.adapter!r}")
        if old.signature.fields.keys() == new.signature.fields.keys():
            new.signature = with_words(new.signature, old.signature)
        new.demos = [dspy_example(demo) for demo in old.demos]
        new.config = dict(old.config)
        new.lm = None if old.lm is None else as_dspy_lm(old.lm)

    def result(self, made: Any) -> Any:
        return dspy_prediction(made)


def _functions_of(member: Any) -> Iterator[FunctionType]:
    """Yield the functions of a member of a class: those in a property or a decorated method, too."""
    if isinstance(member, FunctionType):
        yield member
    for name in ("fget", "fset", "fdel", "__func__", "func", "__wrapped__"):  # each kind of member has others
        if inspect.getattr_static(member, name, None) is not None:
            yield from _functions_of(getattr(member, name))


def _task(old: Any) -> Any:
    return our_signature(old.signature, our_type)


def _our_interpreter(old: Any) -> dict[str, Any]:
    factory = vars(old).get("_interpreter_factory")  # an attribute of DSPy's; its default needs Deno, ours nothing
    return {} if factory in (None, library().PythonInterpreter) else {"interpreter_factory": factory}


def _dspy_interpreter(old: Any) -> dict[str, Any]:
    return {} if old.interpreter_factory is PythonInterpreter else {"interpreter_factory": old.interpreter_factory}


def _compared(old: Any) -> Any:
    """Return the task of a `MultiChainComparison`, of which DSPy keeps the signature of the comparison only."""
    signature = our_signature(old.predict.signature, our_type)
    for name in [*(f"reasoning_attempt_{number + 1}" for number in range(old.M)), "rationale"]:
        signature = signature.delete(name)
    return signature


def _dspy_chain(old: Any) -> Any:
    signature = dspy_signature(old.predict.signature)
    made = library().ChainOfThought(signature.delete("reasoning"))
    made.predict.signature = signature
    return made


def _our_tools(tools: Any) -> Iterator[Tool]:
    for tool in tools:
        if tool.name not in _LAST:
            given = {"args": tool.args} if tool.has_kwargs else {}
            yield Tool(tool.func, name=tool.name, desc=tool.desc, arg_desc=tool.arg_desc, **given)


def _dspy_tools(tools: Any) -> Iterator[Any]:
    for tool in tools:
        if tool.name not in _LAST:
            is_plain = inspect.isroutine(tool.func)
            given = {} if is_plain else {"args": dict(tool.args)}
            yield library().Tool(tool.func if is_plain else tool, name=tool.name, desc=tool.desc, **given)


def _functions(old: Any) -> list[Any]:
    return [tool.func for tool in old.tools.values()]


def _our_lm(theirs: Any) -> Any:
    known = our_lm(theirs)
    if known is None or isinstance(known, BaseLM):
        return known
    if type(theirs) is not library().LM:
        raise _Refusal(f"its LM is a {type(theirs).__name__}, which only DSPy can ask: set one of dspex_core, or none")
    given = {name: value for name, value in theirs.kwargs.items() if value is not None}
    return LM(theirs.model, model_type=theirs.model_type, cache=bool(theirs.cache), **given)
