"""`from_dspy` and `to_dspy`: programs made anew in the other library, with their state. PYTEST_DONT_REWRITE

A built-in program becomes the one of the same name. A program of the user's becomes one with the same methods and
attributes, whose parts are converted; what these methods return is converted, too.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.interop.dspy_bridge.converter import Converter, Refusal
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.lm import as_dspy_lm, our_lm
from dspex_core.interop.dspy_bridge.program import DspyProgram
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


def _predictors(module: Any) -> list[tuple[str, Any]]:
    return module.every_predictor() if isinstance(module, Module) else list(module.named_predictors())


class _ToOurs(Converter):
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


class _ToDspy(Converter):
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
            raise Refusal(f"DSPy cannot choose demos in each call, as {old.demo_selector!r} does")
        if old.adapter is not None:
            raise Refusal(f"DSPy has no adapter of a single predictor, such as {old.adapter!r}")
        if old.signature.fields.keys() == new.signature.fields.keys():
            new.signature = with_words(new.signature, old.signature)
        new.demos = [dspy_example(demo) for demo in old.demos]
        new.config = dict(old.config)
        new.lm = None if old.lm is None else as_dspy_lm(old.lm)

    def result(self, made: Any) -> Any:
        return dspy_prediction(made)


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
        raise Refusal(f"its LM is a {type(theirs).__name__}, which only DSPy can ask: set one of dspex_core, or none")
    given = {name: value for name, value in theirs.kwargs.items() if value is not None}
    return LM(theirs.model, model_type=theirs.model_type, cache=bool(theirs.cache), **given)
