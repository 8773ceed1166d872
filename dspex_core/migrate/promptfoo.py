"""promptfoo's configurations as datasets, with the files that they name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import glob
import itertools
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.files import read_text
from dspex_core.errors import DatasetError
from dspex_core.migrate.asserts import NotConvertedError, Wanted, from_cell, wanted
from dspex_core.migrate.conversion import Check, Conversion, as_fields, rows_of, with_all_columns
from dspex_core.migrate.templates import NotPlainError, as_instructions, rendered
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml")
_TEXTS = (".txt", ".md", ".html")
_OF_CONFIG = {"prompts", "tests", "defaultTest", "scenarios", "assertionTemplates", "description", "$schema"}
_OF_TEST = {"vars", "assert", "description", "metadata"}


def convert(path: Path) -> Conversion:
    """Convert a configuration, or a file of tests alone.

    Raises:
        DatasetError: It cannot be read, or has no tests.
    """
    found = list(rows_of(path))
    alone = len(found) == 1 and found[0][1].keys() & {"tests", "scenarios", "prompts", "providers"}
    tests = [_of_file(row, path.name) for _, row in found]
    return _Config(path, dict(found[0][1]) if alone else {"tests": tests}).conversion()


class _Config:
    """One configuration, while it is converted."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.made = Conversion(str(path))
        self.columns: dict[str, Wanted] = {}

    def conversion(self) -> Conversion:
        """Convert all tests, then give the rows their columns."""
        for name in sorted(self.config.keys() - _OF_CONFIG):
            self.made.remark(f"{name}: is not part of a dataset: the program decides it")
        default = self.config.get("defaultTest") or {}
        if isinstance(default, str):
            default = next((row for _, row in self._file(default, "defaultTest")), {})
        if not isinstance(default, dict):
            self.omit("defaultTest", f"{value_text(default, 60)} is not a test")
            default = {}
        default = self._shaped(default, "defaultTest")
        cases = [row for test, place in self._tests() for row in self._rows(default, test, place)]
        if not cases:
            reasons = "; ".join(self.made.left_out[:3])
            message = "has no tests that can be converted" + (f": {reasons}" if reasons else "")
            raise DatasetError(message, path=str(self.path))
        names = list(dict.fromkeys(name for variables, _ in cases for name in variables))
        columns = self._columns(names)
        rows = [
            {**{columns[name]: variables.get(name, "") for name in names}, **self._checked(row, set(columns.values()))}
            for variables, row in cases
        ]
        self.made.inputs = list(columns.values())
        self.made.rows = with_all_columns(rows, inputs=self.made.inputs)
        self.made.instructions = self._instructions()
        return self.made

    def omit(self, place: str, message: str) -> None:
        self.made.omit(f"{self.path}: {place}", message)

    def _columns(self, names: list[str]) -> dict[str, str]:
        """Return the columns of the variables, which have to be names of a signature's fields."""
        columns = as_fields(names, {"output", "id"})
        for name, column in columns.items():
            if name != column:
                self.made.remark(f"the variable {name!r} is the column {column!r}")
        return columns

    def _checked(self, row: dict[str, Any], inputs: set[str]) -> dict[str, Any]:
        """Return the columns of a row beside its inputs, under names that no input has."""
        named: dict[str, Any] = {}
        for key, value in row.items():
            column = f"case_{key}" if key in inputs else key
            named[column] = value
            if (want := self.columns.get(key)) is not None:
                check = Check(column, want.kind, threshold=want.threshold)
                self.made.checks += [] if check in self.made.checks else [check]
        return named

    # Tests

    def _tests(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield the tests with their places, those of scenarios with the variables of each of its configurations."""
        yield from self._listed(self.config.get("tests"), "tests")
        for number, scenario in enumerate(self._list(self.config.get("scenarios"), "scenarios")):
            place = f"scenarios[{number}]"
            if not isinstance(scenario, dict):
                self.omit(place, f"{value_text(scenario, 60)} is not read")
                continue
            settings = self._listed(scenario.get("config"), f"{place}.config")
            for (setting, _), (test, at) in itertools.product(
                list(settings), list(self._listed(scenario.get("tests") or [{}], f"{place}.tests"))
            ):
                yield _merged(setting, test), at

    def _listed(self, tests: Any, place: str) -> Iterator[tuple[dict[str, Any], str]]:
        for number, test in enumerate(self._list(tests, place)):
            at = place if isinstance(tests, str) else f"{place}[{number}]"
            if isinstance(test, str):
                for line, row in self._file(test, at):
                    of_row = f"{test}:{line}" if line else test
                    yield self._shaped(_of_file(row, test), of_row), of_row
            elif isinstance(test, dict):
                yield self._shaped(test, at), at
            elif test is not None:
                self.omit(at, f"{value_text(test, 60)} is not a test")

    def _shaped(self, test: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a test without those of its parts that are of the wrong kind, which are named."""
        kinds = {"vars": dict | str, "assert": list, "metadata": dict}
        wrong = [
            name for name, kind in kinds.items() if test.get(name) is not None and not isinstance(test[name], kind)
        ]
        for name in wrong:
            self.omit(f"{place}.{name}", f"{value_text(test[name], 60)} is not read")
        return {name: value for name, value in test.items() if name not in wrong}

    def _list(self, value: Any, place: str) -> list[Any]:
        if value is None or isinstance(value, list):
            return value or []
        if isinstance(value, str):
            return [value]
        self.omit(place, "is not a list: a generator of tests is not run")
        return []

    def _file(self, name: str, place: str) -> Iterator[tuple[int | None, Any]]:
        """Yield the rows of a file, or of each that a pattern finds; a file that is not read is named."""
        plain = name.removeprefix("file://")
        folder = self.path.parent
        found = [plain]
        if glob.has_magic(plain):
            found = glob.glob(plain, root_dir=folder, recursive=True)  # noqa: PTH207  Path's takes no whole paths
        paths = sorted(folder / each for each in found)
        if not plain.endswith(_TABLES) or "://" in plain:
            self.omit(place, f"{name!r} is not read: only files of rows are, such as .csv, .json, .yaml")
            return
        if not paths:
            self.omit(place, f"{name!r} is not read: no file has such a name")
        for path in paths:
            try:
                yield from list(rows_of(path))
            except (DatasetError, OSError) as error:
                self.omit(place, f"{name!r} is not read: {error}")

    # Rows

    def _rows(
        self, default: dict[str, Any], test: dict[str, Any], place: str
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield a test's variables and its other columns, once for each combination of variables that are lists."""
        for name in sorted({*test, *default} - _OF_TEST):
            at = place if name in test else "defaultTest"
            self.omit(f"{at}.{name}", "is not part of a dataset")
        whole = _merged(default, test)
        options = whole.get("options")
        by_default = [] if isinstance(options, dict) and options.get("disableDefaultAsserts") else default.get("assert")
        asserts = [*self._asserts(by_default, "defaultTest"), *self._asserts(test.get("assert"), place)]
        columns = {"description": whole.get("description"), "metadata": whole.get("metadata") or None}
        for variables in self._combinations(whole.get("vars"), place):
            yield variables, {**columns, **self._wanted(asserts, variables, place)}

    def _combinations(self, variables: Any, place: str) -> Iterator[dict[str, Any]]:
        if isinstance(variables, str):
            variables = next((row for _, row in self._file(variables, f"{place}.vars")), {})
        given = {name: self._value(value, f"{place}.vars.{name}") for name, value in (variables or {}).items()}
        lists = [value if isinstance(value, list) else [value] for value in given.values()]
        for values in itertools.product(*lists):
            chosen = dict(zip(given, values, strict=True))
            try:
                yield {name: rendered(value, chosen) for name, value in chosen.items()}
            except NotPlainError as error:
                self.omit(f"{place}.vars", f"{error}; the row is left out")

    def _value(self, value: Any, place: str) -> Any:
        """Return a variable, read from its file where it names one."""
        if not isinstance(value, str) or not value.startswith("file://"):
            return value
        name = value.removeprefix("file://")
        try:
            if name.endswith(_TEXTS):
                return read_text(str(self.path.parent / name)).strip()
            if name.endswith((".json", ".yaml", ".yml")):
                return [row for _, row in rows_of(self.path.parent / name)]
        except (DatasetError, OSError) as error:
            self.omit(place, f"{value!r} is not read: {error}")
            return value
        self.omit(place, f"{value!r} is not read: only texts and files of rows are")
        return value

    def _asserts(self, asserts: Any, place: str) -> list[tuple[str, Any]]:
        """Return the assertions with their places; those of a set that wants all of them stand for themselves."""
        found: list[tuple[str, Any]] = []
        for number, each in enumerate(self._list(asserts, f"{place}.assert")):
            at, assertion = f"{place}.assert[{number}]", self._resolved(each)
            if not isinstance(assertion, dict):
                self.omit(at, f"{value_text(each, 60)} is not an assertion that is read")
            elif assertion.get("type") == "assert-set" and "threshold" not in assertion:
                found += self._asserts(assertion.get("assert"), at)
            else:
                found.append((at, assertion))
        return found

    def _resolved(self, assertion: Any) -> Any:
        """Follow a reference within the configuration, such as `#/assertionTemplates/polite`."""
        if not isinstance(assertion, dict) or "$ref" not in assertion:
            return assertion
        target: Any = self.config
        for name in str(assertion["$ref"]).removeprefix("#/").split("/"):
            target = target.get(name) if isinstance(target, dict) else None
        return target

    def _wanted(self, asserts: list[tuple[str, Any]], variables: dict[str, Any], place: str) -> dict[str, Any]:
        """Return the columns of the assertions; what has none is named."""
        row: dict[str, Any] = {}
        for at, assertion in asserts:
            try:
                value = rendered(self._value(assertion.get("value"), f"{at}.value"), variables)
                want = wanted({**assertion, "value": value})
            except (NotConvertedError, NotPlainError) as error:
                self.omit(at, str(error))
                continue
            if "metric" in assertion:
                self.omit(f"{at}.metric", f"the name {assertion['metric']!r} is not kept")
            row[self._column(want, row)] = want.value
        if not row:
            self.omit(place, "no assertion is left: the row has nothing to be compared with")
        return row

    def _column(self, want: Wanted, row: dict[str, Any]) -> str:
        """Return the first column of an assertion's kind and threshold that the row does not have yet."""
        for number in itertools.count(1):
            column = want.column if number == 1 else f"{want.column}_{number}"
            known = self.columns.setdefault(column, want)
            if column not in row and (known.kind, known.threshold) == (want.kind, want.threshold):
                return column
        raise AssertionError("there is always one more number")

    # Prompts

    def _instructions(self) -> str:
        """Return the first prompt's text, where it is plain; the others are named."""
        prompts = self._list(self.config.get("prompts"), "prompts")
        for number in range(1, len(prompts)):
            self.omit(f"prompts[{number}]", "only the first prompt is used: make a program of each")
        if not prompts:
            return ""
        prompt = prompts[0].get("raw") or prompts[0].get("id") if isinstance(prompts[0], dict) else prompts[0]
        try:
            return as_instructions(self._prompt_text(prompt))
        except (NotPlainError, DatasetError, OSError) as error:
            self.omit("prompts[0]", f"{value_text(prompts[0], 60)} is not used: {error}")
            return ""

    def _prompt_text(self, prompt: Any) -> str:
        if not isinstance(prompt, str):
            raise NotPlainError("only a text is")
        is_path = prompt.startswith("file://") or (
            prompt.endswith(_TEXTS) and "\n" not in prompt and "{{" not in prompt
        )
        text = read_text(str(self.path.parent / prompt.removeprefix("file://"))) if is_path else prompt
        if is_path and not prompt.endswith(_TEXTS):
            raise NotPlainError("only a text is")
        if text.lstrip().startswith(("[{", "[\n", "- role")):
            raise NotPlainError("it is a chat, not a text")
        return text


def _of_file(row: Any, name: str) -> dict[str, Any]:
    """Return the test of a row of a file: of a table, columns are variables, but for those with two underscores."""
    if not name.endswith((".csv", ".tsv")) and row.keys() & {"vars", "assert"}:
        return dict(row)
    test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}}
    for column, value in row.items():
        key, text = str(column).strip(), "" if value is None else str(value).strip()
        if not key.startswith("__"):
            test["vars"][key] = "" if value is None else value
        elif not text:
            continue
        elif key.startswith("__expected"):
            test["assert"].append(from_cell(text))
        elif key == "__description":
            test["description"] = text
        elif key.startswith("__metadata:"):
            test["metadata"][key.removeprefix("__metadata:").removesuffix("[]")] = text
        else:
            test[key] = text
    return test


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return two tests as one: the second's variables and metadata go before the first's, and assertions add up."""
    merged = {**first, **second}
    for name in ("vars", "metadata"):
        both = [each.get(name) for each in (first, second)]
        if all(isinstance(each, dict) for each in both):
            merged[name] = {**both[0], **both[1]}  # type: ignore[dict-item]  # they are dicts
    merged["assert"] = [*(first.get("assert") or ()), *(second.get("assert") or ())]
    return merged
