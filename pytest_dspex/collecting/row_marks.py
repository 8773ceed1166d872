"""The pytest marks of a dataset's row: its tags, and whether it is to be skipped or expected to fail.

The columns `tags`, `skip` and `xfail` say so, unless they are inputs of the program. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import DatasetError
from dspex_core.plugin_api import value_text

if TYPE_CHECKING:
    from dspex_core import Example

_NOT_IN_A_MARK = re.compile(r"[^\w.:+/-]+")  # what `-m` cannot read
_OFF = frozenset({"", "0", "false", "no", "none", "null"})
_ON = frozenset({"1", "true", "yes"})
_TAKEN = frozenset(
    {"filterwarnings", "parametrize", "skip", "skipif", "tryfirst", "trylast", "usefixtures", "xfail"}
    | {"dspex_data", "dspex_gate", "dspex_repeat"}
)


def marks_of(example: Example, config: pytest.Config) -> list[pytest.MarkDecorator]:
    """Return the marks of a row.

    Raises:
        DatasetError: A column has a value that it cannot have.
    """
    columns = {name: example.get(name) for name in ("tags", "skip", "xfail") if name not in example.input_keys}
    marks = [_tag(tag, example, config) for tag in _tags(columns.get("tags"), example)]
    for name, default in (("skip", "skipped by its row"), ("xfail", "expected to fail by its row")):
        reason = _reason(columns.get(name), default, f"the column {name!r} of the row {example.id!r}")
        if reason is not None:
            marks.append(getattr(pytest.mark, name)(reason=reason))
    return marks


def _tags(tags: Any, example: Example) -> list[str]:
    if tags is None:
        return []
    if isinstance(tags, str):
        tags = re.split(r"[,;|]", tags)
    if not isinstance(tags, list | tuple | set | frozenset) or not all(isinstance(tag, str) for tag in tags):
        raise DatasetError(
            f"the column 'tags' of the row {example.id!r} must be a list of texts, not {value_text(tags, 200)}"
        )
    names = (_NOT_IN_A_MARK.sub("_", tag.strip()).strip("_") for tag in tags)
    return sorted({name for name in names if name})


def _tag(tag: str, example: Example, config: pytest.Config) -> pytest.MarkDecorator:
    if tag in _TAKEN:
        fix = f"use the column {tag!r}" if tag in {"skip", "xfail"} else "give it another name"
        raise DatasetError(f"the row {example.id!r} has the tag {tag!r}, which is a marker of its own: {fix}")
    known = {line.split(":")[0].split("(")[0].strip() for line in config.getini("markers")}
    if tag not in known:  # so that neither a warning nor --strict-markers stops it
        config.addinivalue_line("markers", f"{tag}: a tag of rows of a dataset")
    mark: pytest.MarkDecorator = getattr(pytest.mark, tag)
    return mark


def _reason(value: Any, default: str, where: str) -> str | None:
    """Return the reason for a mark; `None` for no mark. The cells of tables are texts."""
    if value is None or value is False or (isinstance(value, str) and value.strip().lower() in _OFF):
        return None
    if value is True or (isinstance(value, str) and value.strip().lower() in _ON):
        return default
    if isinstance(value, str):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return default if value else None
    raise DatasetError(f"{where} must be true, false, or a reason, not {value_text(value, 200)}")
