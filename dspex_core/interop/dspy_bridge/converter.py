"""How the parts of a program are made anew in the other library, whichever of the two that is. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.errors import ConfigurationError, DSPexError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.interop.dspy_bridge.program import bridged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of a class, what a class statement adds by itself.
_BY_ITSELF = frozenset({"__dict__", "__weakref__", "__init__", "__module__", "__doc__", "_declared", "__annotations__"})
_OF_LIBRARY = frozenset({"callbacks", "history", "_dspex_calls", "_dspex_origin", "_dspex_trials"})
_METHOD = "_dspex_method"


class Refusal(Exception):  # noqa: N818  never leaves a conversion
    """A part cannot be converted, for the reason in the message."""


class Converter(ABC):
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
        except (Refusal, DSPexError, NotImplementedError) as refusal:
            self._problems.append(f"{path or 'self'} ({type(module).__name__}): {refusal}")
            return None

    def _built_in(self, module: Any, path: str) -> Any:
        make = self.makers().get(type(module).__name__)
        if make is None:
            known = ", ".join(sorted(self.makers()))
            raise Refusal(f"of the built-in programs, these can be converted: {known}")
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
                raise Refusal(f"it is a {base.__name__} with code of its own; derive it from Module instead")
            if vars(base).get("__slots__"):
                raise Refusal(f"{base.__name__} has __slots__, and only attributes in __dict__ are converted")
        members: dict[str, Any] = {}
        for base in reversed(mine):
            members.update({name: value for name, value in vars(base).items() if name not in _BY_ITSELF})
        for name, member in members.items():
            if any("__class__" in function.__code__.co_freevars for function in _functions_of(member)):
                raise Refusal(f"its method {name} uses super() or __class__, which name the class it was written in")
        if not {"forward", "aforward"} & members.keys():
            raise Refusal("it defines neither forward nor aforward")
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


def _functions_of(member: Any) -> Iterator[FunctionType]:
    """Yield the functions of a member of a class: those in a property or a decorated method, too."""
    if isinstance(member, FunctionType):
        yield member
    for name in ("fget", "fset", "fdel", "__func__", "func", "__wrapped__"):  # each kind of member has others
        if inspect.getattr_static(member, name, None) is not None:
            yield from _functions_of(getattr(member, name))
