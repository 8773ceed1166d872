"""The packages' public names, and what importing them costs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import dspex_core
import pytest_dspex
from dspex_core.dspy_paths import top_level

OF_DSPY = {*top_level.__all__, "cache", "DSPY_CACHE"}


@pytest.mark.parametrize("package", [dspex_core, pytest_dspex])
def test_every_public_name_can_be_imported_and_is_listed(package):
    assert sorted(dir(package)) == sorted(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith(package.__name__)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = package.nothing_like_this


def test_type_checkers_see_the_names_that_are_there_at_run_time():
    tree = ast.parse(Path(dspex_core.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.col_offset == 4]
    ours = [node for node in imports if node.module.startswith("dspex_core.") and ".dspy_paths" not in node.module]
    assert sorted(alias.asname for node in ours for alias in node.names) == sorted(set(dspex_core.__all__) - OF_DSPY)
    for node in ours:
        for alias in node.names:
            assert getattr(import_module(node.module), alias.name) is getattr(dspex_core, alias.asname)


def imported_by(code):
    """Return the modules that a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_core_is_light():
    heavy = {"pydantic", "litellm", "numpy", "sklearn", "aiohttp", "urllib3", "vcr", "tqdm", "pytest"}
    assert not heavy & imported_by("import dspex_core")


def test_importing_what_most_programs_use_is_light():
    heavy = {"pydantic", "litellm", "numpy", "sklearn", "aiohttp", "urllib3", "asyncio", "vcr", "tqdm", "pytest"}
    used = imported_by("from dspex_core import Predict, ChainOfThought, ReAct, LM, Signature, Example, Evaluate")
    assert "dspex_core.programs.predict" in used
    assert not heavy & used


def test_loading_the_plugin_is_light():
    heavy = {"pydantic", "litellm", "numpy", "sklearn", "aiohttp", "urllib3", "vcr", "tabulate", "opentelemetry"}
    assert not heavy & imported_by("import pytest_dspex.plugin")


def test_the_core_never_imports_pytest():
    code = "import dspex_core\nfor name in dspex_core.__all__: getattr(dspex_core, name)"
    assert "pytest" not in imported_by(code)
