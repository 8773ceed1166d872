"""docs/reference.md and docs/api/ are complete and up to date."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import dspex_core
import pytest_dspex
from dspex_core import interop, serve
from dspex_core.dspy_paths import top_level
from pytest_dspex import plugin, strategies

OF_DSPY = {*top_level.__all__, "cache", "DSPY_CACHE"}  # DSPy's pages describe them

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_script_writes_now():
    assert runpy.run_path(str(ROOT / "docs" / "build_reference.py"))["page"]() == PAGE, "run docs/build_reference.py"


def test_the_page_has_the_environment_variables_of_the_code_and_no_others():
    files = [file for package in ("dspex_core", "pytest_dspex") for file in (ROOT / package).rglob("*.py")]
    names = {name for file in files for name in re.findall(r"\bDSPEX_[A-Z_]*[A-Z]", file.read_text(encoding="utf-8"))}
    assert set(re.findall(r"`(DSPEX_[A-Z_]+)` \|", PAGE)) == names


@pytest.mark.parametrize("option", ["--help", "--markers"])
def test_the_page_has_all_that_pytest_lists(option, tmp_path):
    command = [sys.executable, "-m", "pytest", option, "-p", "no:cacheprovider"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=110).stdout
    names = set(re.findall(r"--dspex-[a-z]+|\bdspex_[a-z]+", listed))
    assert names
    assert {name for name in names if name not in PAGE} == set()


def test_the_page_has_all_fixtures():
    assert [name for name in plugin.__all__ if f"| `{name}` |" not in PAGE] == []


API = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md")}


def test_the_pages_of_the_api_are_what_the_script_writes_now():
    assert runpy.run_path(str(ROOT / "docs" / "build_api.py"))["pages"]() == API, "run docs/build_api.py"


@pytest.mark.parametrize("module", [dspex_core, interop, serve, pytest_dspex, strategies])
def test_each_public_name_has_one_place_in_the_api(module):
    lines = "\n".join(API.values()).splitlines()
    names = set(module.__all__) - OF_DSPY if module is dspex_core else module.__all__
    assert [name for name in names if lines.count(f"from {module.__name__} import {name}") != 1] == []


def test_the_page_has_each_package_that_runs_as_a_command():
    mains = [main for package in ("dspex_core", "pytest_dspex") for main in (ROOT / package).glob("*/__main__.py")]
    names = {".".join(main.relative_to(ROOT).parent.parts) for main in mains}
    assert set(re.findall(r"\| `python -m ([\w.]+)", PAGE)) == names
