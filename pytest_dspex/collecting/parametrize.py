"""The marker `dspex_data`: a test becomes one pytest item for each row of a dataset. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError, DatasetError
from pytest_dspex.collecting.problems import report_problem

if TYPE_CHECKING:
    from dspex_core import Example


@dataclass(frozen=True, slots=True)
class DataSource:
    """The arguments of a `dspex_data` marker; `path` is absolute."""

    path: Path
    inputs: tuple[str, ...]
    program: str | None

    def examples(self, config: pytest.Config) -> list[Example]:
        """Read the rows; each dataset is read once in a session."""
        from dspex_core import load_dataset

        read = config.stash.setdefault(_READ, {})
        key = (self.path, self.inputs)
        if key not in read:
            read[key] = load_dataset(self.path, inputs=self.inputs)
        return read[key]


_READ = pytest.StashKey[dict[tuple[Path, tuple[str, ...]], list["Example"]]]()


def data_source(node: pytest.Item) -> DataSource | None:
    """Read the `dspex_data` marker of a test, if it has one.

    Raises:
        ConfigurationError: An argument of the marker is missing, unknown or not valid.
    """
    mark = node.get_closest_marker("dspex_data")
    if mark is None:
        return None
    where = f"{node.nodeid}: @pytest.mark.dspex_data"
    unknown = sorted(set(mark.kwargs) - {"inputs", "program"})
    if unknown:
        raise ConfigurationError(f"{where} has an unknown argument {unknown[0]!r}; it takes path, inputs and program")
    if len(mark.args) != 1 or not isinstance(mark.args[0], str | Path):
        raise ConfigurationError(
            f"{where} has the positional arguments {mark.args!r}; give it one, the path of the dataset"
        )
    inputs = mark.kwargs.get("inputs")
    if not isinstance(inputs, list | tuple) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise ConfigurationError(
            f'{where} has inputs={inputs!r}; give it the names of the input fields: inputs=["field", ...]'
        )
    return DataSource(node.path.parent / mark.args[0], tuple(inputs), mark.kwargs.get("program"))


def generate(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test that has a `dspex_data` marker: each row becomes the fixture `example` of one case."""
    definition: Any = metafunc.definition
    try:
        source = data_source(definition)
        if source is None:
            return
        examples = source.examples(metafunc.config)
    except (ConfigurationError, DatasetError) as error:
        report_problem(metafunc.config, str(error))
        return
    if "example" not in metafunc.fixturenames:
        message = (
            f"{definition.nodeid} is marked with dspex_data but uses neither of the fixtures `example` and "
            "`prediction`; use one of them, or remove the marker"
        )
        report_problem(metafunc.config, message)
        return
    metafunc.parametrize("example", examples, ids=[str(example.id) for example in examples])
