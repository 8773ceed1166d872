"""The table of `dspex_core.migrate` and the docs' matrix are what DSPy and this library have now."""

import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dspex_core.migrate.notes import DIFFERENCES, INSTEAD
from dspex_core.migrate.parity import TABLE, parity

ROOT = Path(__file__).parents[2]
HINT = "run docs/build_parity.py"


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
        name, member, argument = re.fullmatch(r"(\w+)(?:\.(\w+))?(?:\((\w+)\))?", key).groups()
        value = owner_of(name)
        value = getattr(value, member, None) if member else value
        takes = inspect.unwrap(value.__init__ if isinstance(value, type) else value) if argument else None
        return value is not None and (argument is None or argument in inspect.signature(takes).parameters)

    keys = [key for key in (*DIFFERENCES, *INSTEAD) if key not in parity().modules]
    assert [key for key in keys if not is_known(key)] == []
