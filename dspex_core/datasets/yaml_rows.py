"""Rows of YAML files: the values that JSON has, each row with its line. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.files import read_text
from dspex_core.errors import DatasetError
from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml

_MOST_VALUES = 10_000_000  # after aliases are followed: a few lines of them can stand for billions


def yaml_rows(path: str) -> Iterator[tuple[int | None, Any]]:
    """Return the items of a list, alone or under `data`, or else the documents of a stream.

    Dates are texts, as in JSON. A row with values that JSON does not have is a `DatasetError`.

    Raises:
        DatasetError: The file is not YAML.
    """
    with foreign_code():
        import yaml  # only those who have such files load it

    text = read_text(path)
    try:
        loader = _loader()(text)
    except yaml.YAMLError as error:  # a character that YAML does not have
        raise _fault(error, path) from error
    try:
        documents = []
        while loader.check_node():
            documents.append(loader.get_node())
        items = _items(documents)
    except (yaml.YAMLError, RecursionError) as error:
        loader.dispose()
        raise _fault(error, path) from error
    try:
        for node in items:
            yield node.start_mark.line + 1, _value(loader, node, path)
    finally:
        loader.dispose()


def _value(loader: Any, node: yaml.Node, path: str) -> Any:
    with foreign_code():
        import yaml  # loaded by now

    line = node.start_mark.line + 1
    try:
        _refuse_bombs(node, path)
        return loader.construct_document(node)
    except DatasetError as error:
        return error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        loader.recursive_objects = {}  # or a later row with an alias of this one is refused
        return _fault(error, path, line)


def _fault(error: Any, path: str, line: int | None = None) -> DatasetError:
    mark = getattr(error, "problem_mark", None)  # of some of the library's errors
    if isinstance(error, RecursionError):
        return DatasetError("is nested too deeply", path=path, line=line)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return DatasetError(f"is not YAML: {reason}", path=path, line=mark.line + 1 if mark else line)


def _loader() -> type[yaml.SafeLoader]:
    """Return a loader of JSON's values, which refuses a key that an object has twice."""
    with foreign_code():
        import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
        yaml_implicit_resolvers = {  # noqa: RUF012  as the base declares it
            first: [pair for pair in pairs if pair[0] not in {"tag:yaml.org,2002:timestamp", _BOOL, _INT, _FLOAT}]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  yaml's
            names = [key.value if key.id == "scalar" else None for key, _ in node.value]
            for name, (key, _) in zip(names, node.value, strict=True):
                if name is None or names.count(name) > 1:
                    fault = f"has the key {name!r} more than once; keep one" if name else "has a key that is not a text"
                    raise yaml.constructor.ConstructorError(None, None, f"an object {fault}", key.start_mark)
            self.flatten_mapping(node)  # merges what `<<` names, under the object's own keys
            return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

        def construct_yaml_float(self, node: Any) -> Any:
            number = super().construct_yaml_float(node)
            if not math.isfinite(number):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the number {node.value} is not finite: write null or a finite number", node.start_mark
                )
            return number

    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_yaml_float)
    Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    Loader.add_implicit_resolver(_FLOAT, _IS_FLOAT, list("-+.0123456789"))
    Loader.add_implicit_resolver(_INT, _IS_INT, list("-+0123456789"))
    return Loader


# Without YAML 1.1's numbers to the base of 60 and 8, which are times of day (`12:30`) and codes (`01234`); with `1e5`.
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_IS_INT = re.compile(r"[-+]?(?:0|[1-9][\d_]*|0b[01_]+|0x[\da-fA-F_]+)$", re.ASCII)
_IS_FLOAT = re.compile(
    r"(?:[-+]?(?:(?:0|[1-9][\d_]*)(?:\.[\d_]*(?:[eE][-+]?\d+)?|[eE][-+]?\d+)|\.\d[\d_]*(?:[eE][-+]?\d+)?"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))$",
    re.ASCII,
)
_BOOL = "tag:yaml.org,2002:bool"  # without YAML 1.1's yes, no, on and off, which labels often are


def _items(documents: list[Any]) -> list[Any]:
    if len(documents) != 1:
        return documents
    node = documents[0]
    if node.id == "mapping":
        node = next((value for key, value in node.value if key.value == "data" and value.id == "sequence"), node)
    return list(node.value) if node.id == "sequence" else [node]


def _refuse_bombs(node: Any, path: str) -> None:
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = _MOST_VALUES + 1  # of a node inside of itself
        children = node.value if node.id != "scalar" else ()
        parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if size(node) > _MOST_VALUES:
        message = "has aliases that contain themselves or stand for too many values"
        raise DatasetError(message, path=path, line=node.start_mark.line + 1)
