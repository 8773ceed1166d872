"""Writes which of DSPy's public names are here: the table of `dspex_core.migrate`, and the matrix of its docs page.

Run `python docs/build_parity.py` after a public name or a parameter has come or gone; tests/compat/test_parity.py fails
until it is done. With `--print` it prints the table and writes nothing. It needs DSPy, at the version of the table.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspex_core
from dspex_core.dspy_paths import not_there_yet
from dspex_core.migrate.findings import outcomes
from dspex_core.migrate.names import Thing, Use
from dspex_core.migrate.notes import DIFFERENCES, INSTEAD, note_on
from dspex_core.migrate.parity import TABLE, Facts, Parity, parity

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("migrating-from-dspy.md")
BEGIN, END = "<!-- begin: docs/build_parity.py -->\n", "<!-- end -->\n"
INCIDENTAL = {"TYPE_CHECKING", "require", "np", "dspy"}  # what DSPy's modules import for themselves
ABOUT = {"__version__", "__author__"}
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
MISSING = object()


def facts() -> dict[str, Any]:
    """Return the table: modules with their names, and the facts of the names that are here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about DSPy's own code
        theirs, unread = _modules_of_dspy()
        noted: dict[str, dict[str, Any]] = {}
        modules = {name: _module(name, module, noted) for name, module in sorted(theirs.items())}
        objects = _by_name(noted)
        version = importlib.import_module("dspy").__version__
        objects["configure"] = objects["context"] = taken = _settings()
        objects["settings"]["methods"] |= {"configure": taken, "context": taken}
    modules.update((name, {"absent": True}) for name in unread if _ours(name) is None)
    return {"dspy": version, "modules": dict(sorted(modules.items())), "objects": dict(sorted(objects.items()))}


def table() -> str:
    """Return the text of the table's file."""
    data = facts()
    lines = [f'{{"dspy": {json.dumps(data["dspy"])},']
    for key in ("modules", "objects"):
        rows = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in data[key].items())
        lines.append(f'"{key}": {{\n' + ",\n".join(rows) + "\n}" + ("," if key == "modules" else ""))
    return "\n".join(lines) + "\n}\n"


def _modules_of_dspy() -> tuple[dict[str, Any], list[str]]:
    """Return DSPy's modules by name, and the names of those that need a library that is not installed."""
    dspy = importlib.import_module("dspy")
    found, unread = {"dspy": dspy}, []
    for module in pkgutil.walk_packages(dspy.__path__, "dspy."):
        try:
            found[module.name] = importlib.import_module(module.name)
        except ImportError:
            unread.append(module.name)
    return found, unread


def _module(name: str, module: Any, noted: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Compare a module with ours, and note the facts of its classes and functions."""
    ours = _ours(name)
    here, missing, raising = [], [], []
    for each, theirs in sorted(vars(module).items()):
        if not _is_public(module, each, theirs):
            continue
        mine = MISSING if ours is None else getattr(ours, each, MISSING)
        if mine is MISSING:
            missing.append(each)
        elif getattr(mine, "__module__", None) == not_there_yet.__name__:
            raising.append(each)
        else:
            here.append(each)
            _note(f"{name}.{each}", theirs, mine, noted)
    by_name = sorted({*here} & _by_star(module) - _by_star(ours)) if ours else []
    rows = {"here": here, "missing": missing, "raises": raising, "not_by_star": by_name}
    return {
        **({"absent": True} if ours is None else {}),
        **{kind: " ".join(names) for kind, names in rows.items() if names},
    }


def _by_star(module: Any) -> set[str]:
    """Return the names that `from module import *` takes."""
    return set(getattr(module, "__all__", None) or (name for name in vars(module) if not name.startswith("_")))


def _ours(name: str) -> Any:
    """Return our module at one of DSPy's paths, or None."""
    path = "dspex_core" + name.removeprefix("dspy")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        return None


def _is_public(module: Any, name: str, value: Any) -> bool:
    """Return whether users may have taken a name from a module: no other library's class, and not a private name."""
    if name in INCIDENTAL or inspect.ismodule(value):
        return False
    if name.startswith("_"):
        return name in ABOUT
    if name in getattr(module, "__all__", ()):
        return True
    is_value = not (inspect.isclass(value) or inspect.isroutine(value))  # such as a logger, or a constant
    home = (type(value) if is_value else value).__module__ or ""
    return home.startswith("dspy") or (is_value and home.partition(".")[0] not in ("typing", "__future__"))


def _note(path: str, theirs: Any, mine: Any, noted: dict[str, dict[str, Any]]) -> None:
    """Add what a class, a function or a shared object lacks here, under its name and its path."""
    row = _members(theirs, mine)
    if callable(theirs):
        row = {**_call(theirs, mine), **row}
    noted.setdefault(path.rpartition(".")[2], {})[path] = row


def _by_name(noted: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the facts of names; where several objects share one, those of all but the first by their paths."""
    objects: dict[str, Any] = {}
    for name, rows in noted.items():
        usual = next(iter(rows.values()))
        objects.update({path: row for path, row in rows.items() if row != usual})
        if usual:
            objects[name] = usual
    return objects


def _members(theirs: Any, mine: Any) -> dict[str, Any]:
    """Compare the public attributes of two classes, or of two objects' classes."""
    if inspect.isfunction(theirs) or inspect.isbuiltin(theirs):
        return {}
    their_class, my_class = (value if inspect.isclass(value) else type(value) for value in (theirs, mine))
    if not their_class.__module__.startswith("dspy"):
        return {}
    missing, methods = [], {}
    for name in dir(their_class):
        if name.startswith("_") or name == "model_config" or not _is_of_dspy(their_class, name):
            continue
        attribute = getattr(mine, name, MISSING)
        if attribute is MISSING and name not in _declared(my_class):
            missing.append(name)
        elif lacks := _call(getattr(their_class, name, None), attribute, owner=my_class):
            methods[name] = lacks
    return {**({"missing": " ".join(missing)} if missing else {}), **({"methods": methods} if methods else {})}


def _is_of_dspy(kind: type, name: str) -> bool:
    """Return whether DSPy itself defines an attribute, and not a library that a class of it inherits from."""
    homes = [base for base in kind.__mro__ if name in vars(base)] or [
        base for base in type(kind).__mro__ if name in vars(base)
    ]
    return bool(homes) and homes[0].__module__.startswith("dspy")


@cache
def _declared(kind: type) -> set[str]:
    """Return the attributes that objects of a class have without the class having them: fields and slots."""
    return {name for base in kind.__mro__ for name in (*inspect.get_annotations(base), *_set_in_init(base))}


def _set_in_init(kind: type) -> set[str]:
    """Return the attributes that a class's own constructor assigns."""
    constructor = vars(kind).get("__init__")
    return {*constructor.__code__.co_names} if inspect.isfunction(constructor) else set()


def _call(theirs: Any, mine: Any, *, owner: type | None = None) -> dict[str, Any]:
    """Return which parameters of theirs ours does not take, and how many ours takes by position in their order."""
    there, here = _parameters(theirs), _parameters(mine)
    if there is None or here is None:
        return {}
    compiles = getattr(owner, "_compile", None)
    if compiles is not None and getattr(mine, "__name__", "") == "compile":
        here = {**(_parameters(dspex_core.Teleprompter.compile) or {}), **(_parameters(compiles) or {}), **here}
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in here.values())
    lacking = [name for name, each in there.items() if each.kind not in VARIABLE and name not in here]
    row: dict[str, Any] = {"lacks": " ".join(lacking)} if lacking and not takes_any else {}
    taken, given = _by_position(here), _by_position(there)
    if taken is not None and given is not None:
        fitting = _fitting(given, taken)
        renamed = [name for name, other in zip(given[:fitting], taken, strict=False) if name != other]
        row |= {"renamed": " ".join(renamed)} if renamed else {}
        row |= {"positions": fitting} if len(given) > fitting else {}
    return row


def _parameters(value: Any) -> dict[str, inspect.Parameter] | None:
    """Return the parameters of a function or of a class's constructor, without `self`."""
    if not callable(value):
        return None
    if inspect.isclass(value) and not hasattr(value, "model_fields"):
        if value.__init__ is object.__init__:
            return None
        value = value.__init__
    elif inspect.isclass(value) and type(value).__call__ is not type.__call__:
        return None  # a signature: what it takes are its own fields
    try:
        found = inspect.signature(value).parameters
    except (TypeError, ValueError):
        return None
    return {name: each for name, each in found.items() if name not in ("self", "cls")}


def _by_position(given: dict[str, inspect.Parameter]) -> list[str] | None:
    """Return the names of the parameters that can be given by position; None if any number can."""
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in given.values()):
        return None
    return [name for name, each in given.items() if each.kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD]


def _fitting(theirs: list[str], mine: list[str]) -> int:
    """Return how many of their leading parameters ours takes at the same place, perhaps by another name."""
    both = enumerate(zip(theirs, mine, strict=False))
    end = min(len(theirs), len(mine))
    return next((at for at, (there, here) in both if here != there and (there in mine or here in theirs)), end)


def _settings() -> dict[str, Any]:
    """Compare the settings that `configure` and `context` take."""
    theirs = set(importlib.import_module("dspy.dsp.utils.settings").DEFAULT_CONFIG)
    mine = {*dspex_core.settings.config}
    return {"lacks": " ".join(sorted(theirs - mine)), "settings": " ".join(sorted(theirs & mine))}


def matrix() -> str:
    """Return the matrix of the docs page, by the table as it stands."""
    parity.cache_clear()
    known = parity()
    rows = [_row(name, known) for name in sorted(known.modules["dspy"], key=str.lower) if name not in ABOUT]
    counts = {status: sum(row[1] == status for row in rows) for status in ("the same", "differs", "missing")}
    said = f"{counts['the same']} are the same, {counts['differs']} differ, {counts['missing']} are missing"
    absent = [(module, note_on(INSTEAD, module, "")) for module in sorted(known.absent)]
    return "\n".join(
        [
            f"Of the {len(rows)} names of `dspy` {known.version}, {said}.\n",
            *_rows("name", "here", "how it differs, or what to use instead", rows=rows),
            "\nArguments, attributes and methods that classes and functions lack here:\n",
            *_rows("name", "arguments", "attributes and methods", rows=list(_lacking(known))),
            "\nModules that are not here, with advice for those that people use:\n",
            *_rows("module", "instead", rows=[(f"`{module}`", note) for module, note in absent if note]),
            "\nThe others are how DSPy works inside: "
            + ", ".join(f"`{module}`" for module, note in absent if not note)
            + ".\n",
        ]
    )


def _row(name: str, known: Parity) -> tuple[str, str, str]:
    """Return the row of a name of DSPy's root: the outcome of its use."""
    [outcome] = outcomes(Use(1, 1, Thing("name", "dspy", name)), known)
    status = "the same" if outcome.status == "unchanged" else outcome.status
    notes = [outcome.note, *(f"`{key[len(name) :]}`: {note}" for key, note in DIFFERENCES.items() if _is_of(key, name))]
    return f"`{name}`", status, " ".join(note for note in notes if note)


def _is_of(key: str, name: str) -> bool:
    """Return whether a note is on an argument or a method of a name."""
    return key.startswith((f"{name}(", f"{name}."))


def _lacking(known: Parity) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each name that lacks more here than its base class does."""
    module = known.objects["Module"].methods
    for name, facts in sorted(known.objects.items(), key=lambda pair: pair[0].lower()):
        arguments = (
            [_arguments(name, facts)]
            if name not in ("configure", "context")
            else [f"`{each}=`" for each in sorted(facts.lacks)]
        )
        inherited = module if name != "Module" else {}
        arguments += [
            _arguments(f".{each}", lacks) for each, lacks in facts.methods.items() if inherited.get(each) != lacks
        ]
        row = (f"`{name}`", "; ".join(filter(None, arguments)), " ".join(f"`{each}`" for each in sorted(facts.missing)))
        if row[1] or row[2]:
            yield row


def _arguments(name: str, facts: Facts) -> str:
    """Return the arguments that a call does not take, as a text."""
    lacks = ", ".join(f"`{each}=`" for each in sorted(facts.lacks))
    positions = "" if facts.positions is None else f"{facts.positions or 'none'} by position"
    said = ", ".join(filter(None, [lacks, positions]))
    return f"`{name}()`: {said}" if said and name.startswith(".") else said


def _rows(*columns: str, rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def page(text: str) -> str:
    """Return the text of the docs page with the matrix of now."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + matrix() + END + rest.split(END, 1)[1]


if __name__ == "__main__" and sys.argv[1:] == ["--print"]:
    sys.stdout.buffer.write(table().encode())
elif __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
