"""What counts as the code of a function: what it uses by name, and nothing that only has the same name."""

import importlib
import sys

import pytest

from dspex_core.plain.used_code import UsedCode

SOURCE = """
class Program:
    def forward(self, text):
        return self.answer(helper(text)), [other(each) for each in text]


def helper(text):
    return text.strip()


def other(text):
    return text


def answer(text):
    return text
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "program_under_test.py").write_text(SOURCE)
    importlib.invalidate_caches()
    yield importlib.import_module("program_under_test")
    sys.modules.pop("program_under_test")


def names_of(module):
    used = UsedCode()
    used.add_methods(module.Program, ["forward"])
    return {name for name, _ in used.parts}


def test_functions_that_are_called_count_also_those_within_other_functions(module):
    assert {"helper", "other"} <= names_of(module)


def test_a_global_with_the_name_of_an_attribute_does_not_count(module):
    before = names_of(module)
    del module.answer

    assert "answer" not in before
    assert names_of(module) == before


def test_an_attribute_of_a_module_of_the_project_counts(module, tmp_path):
    source = "import program_under_test as p\n\n\ndef use(text):\n    return p.helper(text)\n"
    (tmp_path / "user_of_it.py").write_text(source)
    importlib.invalidate_caches()
    used = UsedCode()
    used.add(importlib.import_module("user_of_it").use)
    sys.modules.pop("user_of_it")

    assert {name for name, _ in used.parts} == {"use", "helper"}
