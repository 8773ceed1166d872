"""Type checkers see the public API as users expect it, and DSPy's module paths."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = ROOT / "dspex_core" / "dspy_paths"
STUBS = PATHS / "stubs" / "dspex_core-stubs"
# Those whose names `dspex_core` has itself, and the modules behind all of them.
OWN = {
    "dspex_core.dspy_paths",
    *(f"dspex_core.dspy_paths.{name}" for name in ("adapters", "datasets", "retrievers", "signatures", "streaming")),
    *(f"dspex_core.dspy_paths.{name}" for name in ("not_there_yet", "top_level")),
}


@pytest.mark.timeout(900)  # without a cache, mypy reads LiteLLM
@pytest.mark.parametrize(
    ("checker", "options"),
    [("mypy", ["--strict"]), ("pyright", ["--pythonpath", sys.executable])],
    ids=["mypy", "pyright"],
)
def test_the_public_api_has_the_types_that_users_expect(checker, options):
    command = [sys.executable, "-m", checker, *options, "tests/typing/api.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_type_checkers_find_each_of_dspys_module_paths():
    wanted = {path.relative_to(PATHS).with_suffix(".pyi"): _dotted(path) for path in PATHS.rglob("*.py")}
    stubs = {path.relative_to(STUBS): path.read_text() for path in STUBS.rglob("*.pyi")}
    assert stubs == {path: f"from {name} import *\n" for path, name in wanted.items() if name not in OWN}


def _dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
