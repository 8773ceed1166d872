"""The table of `dspex_core.migrate` and the docs' matrix are what DSPy and this library have now."""

import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dspex_core.migrate.findings import outcomes
from dspex_core.migrate.names import Thing, Use
from dspex_core.migrate.notes import DIFFERENCES, INSTEAD, REMOVED
from dspex_core.migrate.parity import TABLE, parity

ROOT = Path(__file__).parents[2]
HINT = "run docs/build_parity.py"
KEY = re.compile(r"(\w+)(?:\.(\w+))?(?:\((\w+)\))?")  # of a note: a name, a member of it, an argument


@pytest.fixture(scope="module")
def script(real):
    return runpy.run_path(str(ROOT / "docs" / "build_parity.py"))


@pytest.mark.usefixtures("real")
def test_the_table_is_what_the_script_writes_now():
    command = [sys.executable, str(ROOT / "docs" / "build_parity.py"), "--print"]  # other tests change both libraries
    done = subprocess.run(command, capture_output=True, check=True, timeout=100)
    assert done.stdout.decode() == TABLE.read_text(encoding="utf-8"), HINT


def test_the_matrix_is_what_the_table_says(script):
    page = (ROOT / "docs" / "migrating-from-dspy.md").read_text(encoding="utf-8")
    assert script["page"](page) == page, HINT


def test_each_name_is_here_or_missing_as_the_table_says(ours):
    wrong = []
    for module, names in parity().modules.items():
        path = "dspex_core" + module.removeprefix("dspy")
        try:
            home = importlib.import_module(path)
        except ModuleNotFoundError:
            home = None
        assert (home is None) == (module in parity().absent), f"{module}: {HINT}"
        wrong += [f"{module}.{name}" for name, kind in names.items() if hasattr(home, name) == (kind == "missing")]
    assert wrong == [], HINT


def test_notes_are_on_names_and_arguments_that_dspy_has(real):
    def owner_of(name):
        homes = (real, importlib.import_module("dspy.datasets"))
        return next((getattr(home, name) for home in homes if hasattr(home, name)), None)

    def is_known(key):
        name, member, argument = KEY.fullmatch(key).groups()
        value = owner_of(name)
        value = getattr(value, member, None) if member else value
        takes = inspect.unwrap(value.__init__ if isinstance(value, type) else value) if argument else None
        return value is not None and (argument is None or argument in inspect.signature(takes).parameters)

    keys = [key for key in (*DIFFERENCES, *INSTEAD) if key not in parity().modules]
    assert [key for key in keys if not is_known(key)] == []


def test_each_note_is_given_for_a_use_of_its_name():
    modules = parity().modules

    def things(key):
        if key.startswith("dspy."):
            return [Thing("module", key), *(Thing("name", key, name) for name in modules.get(key, ()))]
        name, member, _ = KEY.fullmatch(key).groups()
        home = next((module for module in ("dspy", "dspy.datasets") if name in modules[module]), "dspy")
        return [Thing("name", home, f"{name}.{member}" if member else name)]

    def is_given(key, note, status):
        argument = None if key.startswith("dspy.") else KEY.fullmatch(key)[3]
        uses = [Use(1, 1, thing, ((argument,), 0) if argument else None) for thing in things(key)]
        return any(each.status == status and note in each.note for use in uses for each in outcomes(use, parity()))

    kinds = (("differs", DIFFERENCES), ("missing", INSTEAD), ("missing", REMOVED))
    assert [key for status, notes in kinds for key, note in notes.items() if not is_given(key, note, status)] == []
