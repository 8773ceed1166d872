"""No warning of another library's reaches a user: each is imported, and most are called, as foreign code."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openai_server import OpenAIServer

import dspex_core
import pytest_dspex

PACKAGES = [Path(package.__file__).parent for package in (dspex_core, pytest_dspex)]
# What pydantic says is about the user's types; it is loaded on the paths of each call. pytest runs around us. Who uses
# `pytest_dspex.strategies` has imported Hypothesis.
EXCEPT = {
    *("dspex_core", "pytest_dspex"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_extensions"),
    *("pytest", "_pytest", "pluggy"),
    "hypothesis",
}


def _unguarded(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.With) and ast.unparse(child.items[0]) == "foreign_code()":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or ""
        else:
            yield from _unguarded(child)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_library_is_imported_as_foreign_code(package):
    own = EXCEPT | sys.stdlib_module_names
    found = {
        (str(file.relative_to(package)), name)
        for file in package.rglob("*.py")
        for name in _unguarded(ast.parse(file.read_text(encoding="utf-8")))
        if name.partition(".")[0] not in own
    }
    assert found == set()


PROGRAM = """
import importlib.abc
import sys
import warnings

SEEN = set()
LIBRARIES = {
    "aiohttp", "bm25s", "httpx", "json_repair", "langchain_core", "litellm", "numpy", "openai",
    "opentelemetry", "pydantic_monty", "rapidfuzz", "scipy", "sklearn", "tqdm", "urllib3",
}

class Warns(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LIBRARIES:
            SEEN.add(name.partition(".")[0])
            warnings.warn(f"{name} warns about its own code", FutureWarning, stacklevel=1)

sys.meta_path.insert(0, Warns())

import asyncio
import dspex_core
from dspex_core import LM, Evaluate, Example, LexicalEmbedder, Predict, PythonInterpreter, ScriptedLM, fuzzy_match
from dspex_core.plain.repair import repaired
from dspex_core.retrievers import BM25, Embeddings

lm = LM("openai/gpt-4o-mini", api_base=sys.argv[1], api_key="k", num_retries=0)
print(lm("hi"), asyncio.run(lm.acall("hi", rollout_id=1, temperature=1)))
print(lm.copy(engine="litellm", cache=False)("hi"))
print(BM25(["an otter", "a heron"])("otter", k=1).passages)
print(Embeddings(["an otter", "a heron"], LexicalEmbedder(), k=1)("otter").passages)
print(LexicalEmbedder()(["an otter"]).shape)
print(list(repaired('{"a": 1')))
with PythonInterpreter() as interpreter:
    print(interpreter.execute("1 + 1"))
with dspex_core.context(lm=ScriptedLM(["[[ ## answer ## ]]\\notter"])):
    example = Example(question="Who dives?", answer="otter").with_inputs("question")
    print(Evaluate(devset=[example], metric=fuzzy_match("answer"), display_progress=True)(
        Predict("question -> answer")).score)
import dspex_core.telemetry.otel, dspex_core.tools.langchain
print(sorted(LIBRARIES - SEEN))
try:
    warnings.warn("the user's own")
except UserWarning:
    print("heard")
"""


def test_libraries_that_warn_when_they_are_imported_do_not_fail_a_program_whose_warnings_are_errors(tmp_path):
    with OpenAIServer() as server:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, server.base_url]
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "DSPEX_CACHE_DIR": str(tmp_path)}
        )
    assert [line for line in run.stderr.splitlines() if line and "example/s" not in line] == []  # a progress bar
    assert run.stdout.splitlines()[-2:] == ["[]", "heard"]
