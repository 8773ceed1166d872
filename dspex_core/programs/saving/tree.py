"""The modules of a program: finding, replacing and copying them. PYTEST_DONT_REWRITE

Modules are found in attributes, and in lists, tuples and dicts that are attributes.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core.config.contracts import Listener

_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


class Node:
    """A program as a tree: it may hold others of its kind, and can be copied with them."""

    callbacks: Sequence[Listener] = ()
    _compiled = False  # DSPy's name, which users set to keep a part as it is

    def deepcopy(self) -> Self:
        """Return a copy that can be changed without changing this program.

        LMs, demos and callbacks are shared, and what cannot be copied, such as a lock or a connection.
        """
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        clone = memo[id(self)] = type(self).__new__(type(self))
        memo[id(self.callbacks)] = self.callbacks  # they receive the events of copies, too
        clone.__dict__.update((name, copied(value, memo)) for name, value in attributes(self).items())
        return clone


def attributes(module: Any) -> dict[str, Any]:
    """Return the attributes that a module has now, as a dict of their own: its calls in other threads may add some."""
    return dict(vars(module))


def walk(
    path: str, value: Any, seen: set[int], is_left_out: Callable[[Any], bool] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield every module in a value with its path, each once; that of the value itself is `"self"`.

    Parts that are left out are not looked into; the value itself never is.
    """
    waiting = [iter([(_Place(None, path), value)])]  # no recursion: a value may be thousands of levels deep
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        place, value = found
        if id(value) in seen:
            continue
        is_node = isinstance(value, Node)
        if is_left_out is not None and is_node and place.parent is not None and is_left_out(value):
            continue
        if is_node or isinstance(value, list | tuple | dict):
            seen.add(id(value))  # containers, too: one may hold itself
            if is_node:
                yield place.path() or "self", value
            waiting.append(_parts(place, value, repr))  # what the caller has set by now included


class _Place(NamedTuple):
    """Where a value is: a step from where its holder is. Paths are written for modules alone, as they may be long."""

    parent: _Place | None
    step: str

    def path(self) -> str:
        steps, place = [], self
        while place.parent is not None:
            steps.append(place.step)
            place = place.parent
        return (place.step + "".join(reversed(steps))).removeprefix("." if not place.step else "")


def _parts(place: _Place, value: Any, written: Callable[[Any], str]) -> Iterator[tuple[_Place, Any]]:
    """Return the parts of a module or a container, each with its place; `written` writes a key."""
    if isinstance(value, Node):
        return ((_Place(place, f".{name}"), child) for name, child in attributes(value).items())
    if isinstance(value, list | tuple):
        return ((_Place(place, f"[{index}]"), child) for index, child in enumerate(value))
    if isinstance(value, dict):
        return ((_Place(place, f"[{written(key)}]"), child) for key, child in dict(value).items())
    return iter(())


def sub_modules(root: Node, wanted: type, *, skip_compiled: bool) -> Iterator[tuple[str, Any]]:
    """Yield the root (as `"self"`) and all that is `wanted` in it, breadth first, each once."""
    waiting = deque([(_Place(None, "self"), root)])
    seen: set[int] = set()
    while waiting:
        place, value = waiting.popleft()
        if id(value) in seen:
            continue
        if isinstance(value, Node | list | tuple | dict):
            seen.add(id(value))
        if isinstance(value, wanted):
            yield place.path(), value
        if not (skip_compiled and isinstance(value, Node) and vars(value).get("_compiled")):
            waiting.extend(_parts(place, value, str))


def replace(root: Node, old: Node, new: Node) -> None:
    """Put `new` wherever a module in the root has `old`; containers that had it are made anew."""
    for _, module in list(walk("", root, set())):
        for name, value in attributes(module).items():
            replaced = _substitute(value, old, new)
            if replaced is not value:
                setattr(module, name, replaced)


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy in which whatever cannot be copied, such as a lock or a connection, is shared."""
    unfilled: list[tuple[Any, Any]] = []  # no recursion for lists and dicts: they may be thousands of levels deep
    copy_of_value = _begun(value, memo, unfilled)
    while unfilled:
        source, clone = unfilled.pop()
        if type(clone) is list:
            clone += [_begun(item, memo, unfilled) for item in source]
        else:
            clone.update([(key, _begun(item, memo, unfilled)) for key, item in dict(source).items()])
    return copy_of_value


def _begun(value: Any, memo: dict[int, Any], unfilled: list[tuple[Any, Any]]) -> Any:
    """Return the copy of a value; that of a list or a dict is still empty, and noted with the original."""
    kind = type(value)
    if kind in _ATOMS or id(value) in memo:
        return memo.get(id(value), value)
    if kind is list or kind is dict:
        clone = memo[id(value)] = kind()
        unfilled.append((value, clone))
        return clone
    known = len(memo)
    try:
        return tuple([copied(item, memo) for item in value]) if kind is tuple else copy.deepcopy(value, memo)
    except Exception:  # noqa: BLE001  a class may refuse copying by any exception
        while len(memo) > known:
            memo.popitem()  # halves of copies
        return value


def _substitute(value: Any, old: Any, new: Any, made: dict[int, Any] | None = None) -> Any:
    """Return the value with `new` wherever `old` is in it; the value itself if it is nowhere."""
    made = {} if made is None else made  # containers by the `id` of those that they replace: one may hold itself
    if value is old:
        return new
    if id(value) in made:
        return made[id(value)]
    if not _holds(value, old):
        return value
    if isinstance(value, tuple):
        return type(value)([_substitute(item, old, new, made) for item in value])
    if isinstance(value, list):
        items = made[id(value)] = type(value)()
        items.extend(_substitute(item, old, new, made) for item in value)
        return items
    pairs: dict[Any, Any] = {}
    made[id(value)] = pairs
    pairs.update((key, _substitute(item, old, new, made)) for key, item in value.items())
    return pairs


def _holds(value: Any, wanted: Any) -> bool:
    """Return whether containers lead from the value to what is wanted."""
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if one is wanted:
            return True
        if isinstance(one, list | tuple | dict) and id(one) not in seen:
            seen.add(id(one))
            waiting.extend(one.values() if isinstance(one, dict) else one)
    return False
