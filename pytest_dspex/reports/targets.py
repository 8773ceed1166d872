"""Which reports a session writes, and where: `--dspex-report=html:PATH,json:PATH`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_dspex.keys import DETAILED
from pytest_dspex.reports.own_formats import own_formats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KINDS = ("html", "json", "md")
_BETWEEN = r",\s*(?=\w+:)|\n"  # a path may hold a comma
_FORM = "KIND:PATH with one of the kinds {}, as in html:report.html,json:report.json"


class Target(NamedTuple):
    """A report to write: its kind and its absolute path."""

    kind: str
    path: Path


TARGETS = pytest.StashKey[tuple[Target, ...]]()


def configure(config: pytest.Config) -> None:
    """Read the option and the ini key; the option replaces the key.

    Raises:
        pytest.UsageError: One of them does not name kinds and paths.
    """
    given = config.getoption("dspex_report")
    if given:
        source, folder, texts = "--dspex-report", config.invocation_params.dir, given
    else:
        source, folder, texts = "the ini key dspex_report", config.rootpath, config.getini("dspex_report")
    kinds = (*KINDS, *own_formats(config)) if texts else KINDS
    targets = tuple(target for text in texts for target in _targets(text, folder, source=source, kinds=kinds))
    paths = [target.path for target in targets]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise pytest.UsageError(f"{source} names {str(twice)!r} twice; give each report a path of its own")
    config.stash[TARGETS] = targets
    if config.getoption("dspex_show") or any(target.kind != "md" for target in targets):
        config.stash[DETAILED] = True


def _targets(text: str, folder: Path, *, source: str, kinds: Sequence[str]) -> Iterator[Target]:
    for part in re.split(_BETWEEN, text):
        kind, colon, path = (each.strip() for each in part.partition(":"))
        if kind not in kinds or not colon or not path:
            known = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
            raise pytest.UsageError(f"{source} has {part!r}; write {_FORM.format(known)}")
        target = (folder / path).expanduser()
        if target.is_dir():
            raise pytest.UsageError(
                f"{source}: {path!r} is a directory; name a file in it, such as {path}/report.{kind}"
            )
        yield Target(kind, target)
