"""The demos of a predictor as a list that may be changed. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_P = ParamSpec("_P")
_R = TypeVar("_R")


class DemoList(list[Any]):
    """What `predictor.demos` returns: a list, each change of which gives the predictor a tuple anew.

    Copies of a program share the tuple until one of them changes its list. A list that its predictor
    has replaced is a plain list.

    Args:
        demos: The demos.
        write: Takes the changed demos.
    """

    def __init__(self, demos: Iterable[Any], write: Callable[[tuple[Any, ...]], None]) -> None:
        super().__init__(demos)
        self._write: Callable[[tuple[Any, ...]], None] | None = write

    def detach(self) -> None:
        """Be a plain list from now on."""
        self._write = None

    def written(self) -> None:
        """Hand the demos on after a change."""
        if self._write is not None:
            self._write(tuple(self))

    def __eq__(self, other: object) -> bool:
        return super().__eq__(list(other) if isinstance(other, tuple) else other)

    __hash__ = None  # as any list

    def __reduce__(self) -> tuple[Any, ...]:
        return (list, (list(self),))

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return list(self)  # demos are never changed in place


def _writing(method: Callable[_P, _R]) -> Callable[_P, _R]:
    @wraps(method)
    def changed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        result = method(*args, **kwargs)
        cast("DemoList", args[0]).written()
        return result

    return changed


for _name in (
    *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
):
    setattr(DemoList, _name, _writing(getattr(list, _name)))
