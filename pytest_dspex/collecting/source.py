"""The marker `dspex_data`, read into a value. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core import ConfigurationError
from dspex_core.plugin_api import value_text
from pytest_dspex.collecting import from_plugins

if TYPE_CHECKING:
    import pytest

_ARGUMENTS = ("inputs", "signature", "program", "split", "sample", "seed", "where", "metrics", "delimiter", "name")

Metric = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: its data may be anything
class DataSource:
    """The arguments of a `dspex_data` marker; `data` is an absolute path, a name on a hub, or the data itself.

    Args:
        data: Where the rows come from.
        name: What reports call the dataset, where a test has several.
        inputs: The input fields; empty for those of the signature, or that the examples themselves name.
        signature: The signature that each row must fit.
        program: The name of the program that makes `prediction`.
        split: The split to read.
        delimiter: What parts the cells of a table.
        where: Which rows to take.
        sample: How many of them, or which part.
        seed: The seed of the sample.
        metrics: The metrics that are computed with the prediction, by the names of their scores.
    """

    data: Any
    name: str
    inputs: tuple[str, ...] = ()
    signature: Any = None
    program: str | None = None
    split: str | None = None
    delimiter: str | None = None
    where: Callable[[Any], Any] | Mapping[str, Any] | None = None
    sample: int | float | None = None
    seed: int = 0
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    @property
    def origin(self) -> object:
        """What is the same for two markers that name the same data, and can be a key of a dict."""
        return self.data if isinstance(self.data, str | Path) else id(self.data)


def data_sources(node: pytest.Item) -> list[DataSource]:
    """Read the `dspex_data` markers of a test, in the order in which they stand in its file.

    Raises:
        ConfigurationError: An argument of a marker is missing, unknown or not valid, or two datasets have one name.
    """
    marks = list(node.iter_markers("dspex_data"))[::-1]
    sources = [_source(mark, node, number) for number, mark in enumerate(marks, 1)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"{node.nodeid} has two datasets with the name {name!r}; "
                "give them different ones, which are a part of the ids: dspex_data(..., name=...)"
            )
    return sources


def _source(mark: pytest.Mark, node: pytest.Item, number: int) -> DataSource:
    where = f"{node.nodeid}: @pytest.mark.dspex_data"
    unknown = sorted(set(mark.kwargs) - set(_ARGUMENTS))
    if unknown:
        known = ", ".join(_ARGUMENTS)
        raise ConfigurationError(f"{where} has an unknown argument {unknown[0]!r}; it takes a dataset, {known}")
    if len(mark.args) != 1:
        raise ConfigurationError(
            f"{where} has the positional arguments "
            f"{value_text(mark.args, 200)}; give it one, the path of the dataset or its rows"
        )
    options = {name: value for name, value in mark.kwargs.items() if name not in {"inputs", "metrics", "name"}}
    for name, (kinds, needed) in _KINDS.items():
        value = options.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ConfigurationError(f"{where} has {name}={value_text(value, 200)}; it needs {needed}")
    _check_sample(options.get("sample"), where)
    data = located(from_plugins.dataset(mark.args[0], node), node.path.parent)
    return DataSource(
        data=data,
        name=_name(mark.kwargs.get("name"), data, where, number=number),
        inputs=_inputs(mark.kwargs.get("inputs"), data, where, signature=mark.kwargs.get("signature")),
        metrics=_metrics(mark.kwargs.get("metrics"), where, node),
        **options,
    )


_KINDS: Mapping[str, tuple[Any, str]] = {
    "program": (str, "the name of a @program"),
    "signature": ((str, type), "a signature, or its text, such as 'question -> answer'"),
    "split": (str, "the name of a split, such as 'test'"),
    "delimiter": (str, "one character, such as ';'"),
    "seed": (int, "a whole number"),
    "sample": (int | float, "how many rows, or which part of them, such as 50 or 0.1"),
    "where": (Callable | Mapping, "a function of a row, or a dict of column values"),
}


def _check_sample(sample: Any, where: str) -> None:
    is_part = isinstance(sample, float)
    if sample is not None and not (0 < sample < 1 if is_part else sample > 0):
        raise ConfigurationError(f"{where} has sample={sample!r}; a number of rows is positive, a part is below 1.0")


def located(data: Any, folder: Path) -> Any:
    """Return a dataset; its path is relative to `folder`, and a text that is not a path is a name on a hub."""
    if isinstance(data, Path):
        return folder / data
    if isinstance(data, str) and not data.startswith("hf:"):
        path = folder / data
        return path if path.exists() or path.suffix or data.count("/") != 1 else data
    return data


def _name(name: Any, data: Any, where: str, *, number: int) -> str:
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"{where} has name={name!r}; it needs a text")
    if name:
        return str(name)
    if isinstance(data, str | Path):
        return Path(data).name.partition(".")[0]
    known = getattr(data, "__name__", None)  # of a function
    return known if isinstance(known, str) and known.isidentifier() else f"data{number}"


def _inputs(inputs: Any, data: Any, where: str, *, signature: Any) -> tuple[str, ...]:
    is_named = isinstance(inputs, list | tuple) and bool(inputs) and all(isinstance(name, str) for name in inputs)
    # Rows in memory may be examples that know their inputs.
    may_name_them = signature is not None or not isinstance(data, str | Path)
    if not is_named and not (inputs is None and may_name_them):
        raise ConfigurationError(
            f'{where} has inputs={inputs!r}; give it the names of the input fields: inputs=["field", ...]'
        )
    return tuple(inputs or ())


def _metrics(metrics: Any, where: str, node: pytest.Item) -> dict[str, Metric]:
    if metrics is None:
        return {}
    from dspex_core.plugin_api import metric_name  # imported only for tests that have metrics

    if isinstance(metrics, Mapping):
        pairs = [(str(name), from_plugins.metric(metric, node, where)) for name, metric in metrics.items()]
    elif isinstance(metrics, Iterable) and not isinstance(metrics, str):
        pairs = [
            (metric if isinstance(metric, str) else metric_name(metric), from_plugins.metric(metric, node, where))
            for metric in metrics
        ]
    else:
        raise ConfigurationError(
            f"{where} has metrics={value_text(metrics, 200)}; give it a list of metrics: metrics=[...]"
        )
    named: dict[str, Metric] = {}
    for name, metric in pairs:
        if not callable(metric) or isinstance(metric, type):
            raise ConfigurationError(f"{where} has the metric {value_text(metric, 200)}, which cannot be called")
        if name in named:
            raise ConfigurationError(
                f"{where} has two metrics with the name {name!r}; name their scores: metrics={{'name': metric, ...}}"
            )
        named[name] = metric
    return named
