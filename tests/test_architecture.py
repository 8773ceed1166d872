"""The layers of docs/architecture.md, held: what may import what, and how large things may be."""

import ast
import re
from collections import Counter, defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dspex_core", "pytest_dspex")
MOST_ENTRIES = {"dspex_core": 31, "pytest_dspex": 16}
LONGEST_FILE = 400
LONGEST_FUNCTION = 45
FACES = (  # paths that the documentation promises and that are not where the code is
    "dspex_core.callbacks",
    "dspex_core.embedders",
    "dspex_core.evaluate",
    "dspex_core.otel",
    "dspex_core.retrievers",
    "dspex_core.streaming",
    "dspex_core.telemetry",
    "dspex_core.teleprompt",
)


@cache
def modules():
    """Return each module's name and file."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


@cache
def imports(name):
    """Return the modules of ours that a module imports, with the names it takes; annotations' imports included."""
    found = defaultdict(set)
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found[whole if whole in modules() else node.module].add(alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.name].add("")
    return {target: names for target, names in found.items() if target.split(".")[0] in PACKAGES and target != name}


@cache
def layers():
    """Return the row of each entry of the layer tables, from the top of the page to the bottom."""
    rows = {}
    package = None
    for number, line in enumerate((ROOT / "docs" / "architecture.md").read_text().splitlines()):
        if heading := re.match(r"## Layers of (\w+)", line):
            package = heading[1]
        elif line.startswith("## "):
            package = None
        elif package and line.startswith("| ") and not line.startswith(("| layer", "|---")):
            for entry in re.findall(r"`([\w./]+)`", line.split("|")[2]):
                rows[f"{package}.{entry.replace('/', '.')}"] = number
    return rows


def row_of(name):
    """Return the row of the longest entry that a module lies under. `x/` covers what is in `x`, but not `x` itself."""
    while "." in name:
        if name in layers():
            return layers()[name]
        name = name.rpartition(".")[0]
        if f"{name}." in layers():
            return layers()[f"{name}."]
    return None


def inner_modules():
    return sorted(name for name in modules() if name not in PACKAGES)


def test_every_module_stands_in_a_layer_table():
    assert [name for name in inner_modules() if row_of(name) is None] == []


def test_every_entry_of_the_tables_is_a_module_or_a_package():
    names = {*modules()} | {f"{name}." for name in modules()}
    assert [entry for entry in layers() if entry not in names] == []


def test_every_import_goes_to_the_same_row_or_one_above_it():
    wrong = [
        f"{name} imports {', '.join(sorted(names))} of {target}"
        for name in inner_modules()
        for target, names in imports(name).items()
        if target in modules() and target not in PACKAGES
        if target.split(".")[0] == name.split(".")[0] and row_of(target) > row_of(name)
    ]
    assert wrong == []


def test_there_is_no_circle_of_imports_with_annotations_included():
    done, under_way = set(), []

    def visit(name):
        if name in under_way:
            raise AssertionError(" -> ".join([*under_way[under_way.index(name) :], name]))
        if name in done or name not in modules():
            return
        under_way.append(name)
        for target in imports(name):
            if target not in PACKAGES:
                visit(target)
        under_way.pop()
        done.add(name)

    for name in inner_modules():
        visit(name)


def test_no_module_imports_the_root_of_its_own_package():
    assert [name for name in inner_modules() if name.split(".")[0] in imports(name)] == []


def test_messages_show_users_values_by_a_function_that_cannot_fail():
    """The `repr` of a user's value may fail, or be thousands of levels deep: `value_text` shows any."""
    assert [name for name, path in modules().items() if re.search(r"!r:\.\d+\}", path.read_text())] == []


def test_the_library_knows_nothing_of_pytest():
    sources = {name: path.read_text() for name, path in modules().items() if name.startswith("dspex_core")}
    found = [name for name, source in sources.items() if re.search(r"^\s*(import|from) _?pytest", source, re.MULTILINE)]
    assert found == []


def test_the_plugin_uses_of_the_library_what_its_root_and_plugin_api_export():
    wrong = [
        f"{name}: {target}"
        for name in inner_modules()
        if name.startswith("pytest_dspex")
        for target in imports(name)
        if target.startswith("dspex_core.") and target != "dspex_core.plugin_api"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_root_of_a_package_stays_easy_to_survey(package):
    entries = {path.name for path in (ROOT / package).iterdir()} - {"__init__.py", "py.typed", "__pycache__"}
    assert len(entries) <= MOST_ENTRIES[package], sorted(entries)


def test_no_file_and_no_function_is_too_long():
    long = []
    for name, path in modules().items():
        source = path.read_text()
        if (lines := len(source.splitlines())) >= LONGEST_FILE:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{name}:{node.name}: {lines} lines")
    assert long == []


def test_every_module_opts_out_of_pytests_rewriting():
    # pytest rewrites the asserts of every module of a distribution with a plugin, which slows the first start.
    wrong = [name for name, path in modules().items() if "PYTEST_DONT_REWRITE" not in (docstring(path) or "")]
    assert wrong == []


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", FACES)
def test_every_promised_path_can_be_imported(path):
    assert import_module(path).__doc__


def test_no_two_test_modules_have_one_name():
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []  # pytest imports them by their bare names
