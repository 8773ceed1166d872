"""`@program`: a program under test, as a fixture that loads its compiled artifact. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pytest

from pytest_dspex.collecting.source import located

if TYPE_CHECKING:
    from dspex_core import Example, Module, Optimizer

Dataset = str | Path | Sequence["Example"]
Builder = TypeVar("Builder", bound="Callable[[], Module]")

# The type of fixture definitions. Attributes of other objects in a module are not read: some of these are
# proxies that raise an error or load much code.
_Fixture = type(pytest.fixture(lambda: None))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # compared by identity
class ProgramSpec:
    """A registered program: how it is built, compiled and scored. `folder` is that of its conftest."""

    name: str
    folder: Path
    builder: Callable[[], Module]
    optimizer: Optimizer | None
    metric: Callable[..., Any] | None
    trainset: Dataset | None
    valset: Dataset | None
    testset: Dataset | None
    inputs: Sequence[str] | None

    @property
    def artifact(self) -> Path:
        """Where the compiled program is stored."""
        return self.folder / "artifacts" / f"{self.name}.json"

    def build(self) -> Module:
        """Build the program, uncompiled.

        Raises:
            ConfigurationError: The decorated function does not return a `Module`.
        """
        from dspex_core import ConfigurationError, Module

        built = self.builder()
        if not isinstance(built, Module):
            message = f"@program {self.name!r} returned {built!r}; return a Module, such as Predict(...)"
            raise ConfigurationError(message)
        return built

    def load(self, built: Module) -> Module:
        """Load the artifact, where there is one, into a program that `build` has made, and return it."""
        if self.artifact.exists():
            built.load(self.artifact)
        return built

    def examples(self, dataset: Dataset, *, program: Module, inputs: Sequence[str] | None = None) -> list[Example]:
        """Read one of the program's datasets; `inputs` is the default of the program's own `inputs`.

        Raises:
            DatasetError: The dataset cannot be read, or a row lacks an input.
        """
        return read_examples(dataset, self.folder, program=program, inputs=self.inputs or inputs)


def read_examples(
    dataset: Any, folder: Path, *, program: Callable[..., Any], inputs: Sequence[str] | None
) -> list[Example]:
    """Read a dataset of any form that `load_dataset` takes; a path is relative to `folder`.

    Without `inputs`, the inputs of a row are those that it names itself, else those of its fields
    that are an input of one of the program's predictors.

    Raises:
        DatasetError: The dataset cannot be read, or a row lacks an input.
    """
    from dspex_core import Module, load_dataset

    if isinstance(dataset, list | tuple) and all(hasattr(row, "inputs") for row in dataset):
        return list(dataset)  # examples, also another library's, which may come from several datasets with equal ids
    examples = load_dataset(located(dataset, folder), inputs=inputs)
    if inputs is not None or not isinstance(program, Module):
        return examples
    wanted = {name for _, predictor in program.every_predictor() for name in predictor.signature.input_fields}
    return [
        example if example.input_keys else example.with_inputs(*(wanted & set(example.keys()))) for example in examples
    ]


@overload
def program(build: Builder) -> Builder: ...


@overload
def program(
    *,
    optimizer: Optimizer | None = None,
    metric: Callable[..., Any] | None = None,
    trainset: Dataset | None = None,
    valset: Dataset | None = None,
    testset: Dataset | None = None,
    inputs: Sequence[str] | None = None,
) -> Callable[[Builder], Builder]: ...


def program(
    build: Callable[[], Module] | None = None,
    *,
    optimizer: Optimizer | None = None,
    metric: Callable[..., Any] | None = None,
    trainset: Dataset | None = None,
    valset: Dataset | None = None,
    testset: Dataset | None = None,
    inputs: Sequence[str] | None = None,
) -> Any:
    """Make the decorated function, which builds a program, a session fixture of the same name.

    The fixture is the compiled program when `artifacts/<name>.json` lies beside the file that
    defines it, else the program as built. `--dspex-optimize` compiles it and writes that file.

    Args:
        build: The function; it takes no arguments and returns a `Module`.
        optimizer: The optimizer that compiles the program; without it `--dspex-optimize` skips the program.
        metric: The metric that scores the stored and the new program; by default the optimizer's own.
        trainset: The optimizer's examples, or the path of a dataset, relative to the defining file.
        valset: As `trainset`; the examples by which the optimizer chooses.
        testset: The held-out examples on which the stored and the new program are compared; by
            default the rows of the `dspex_data` tests that use the program.
        inputs: The input fields of the datasets. By default those of the held-out examples; if these
            do not name any, the fields that are an input of one of the program's predictors.

    Raises:
        TypeError: The decorated function takes arguments.
    """
    datasets = {"trainset": trainset, "valset": valset, "testset": testset}

    def registered(build: Callable[[], Module]) -> Any:
        name, folder = build.__name__, Path(inspect.getfile(build)).parent
        _refuse_parameters(build)
        return _fixture(
            ProgramSpec(
                name=name, folder=folder, builder=build, optimizer=optimizer, metric=metric, inputs=inputs, **datasets
            )
        )

    return registered if build is None else registered(build)


def _refuse_parameters(build: Callable[[], Module]) -> None:
    if parameters := inspect.signature(build).parameters:
        names = ", ".join(map(repr, parameters))
        raise TypeError(f"@program {build.__name__!r} has parameters ({names}); remove them")


def _fixture(spec: ProgramSpec) -> Any:
    def load() -> Module:
        return spec.load(spec.build())

    fixture = pytest.fixture(scope="session", name=spec.name)(load)
    fixture.dspex_program = spec  # type: ignore[attr-defined]  # how visible_programs finds it
    return fixture


def visible_programs(item: pytest.Item) -> dict[str, ProgramSpec]:
    """Return the programs defined in a test's module and in the conftests above it, by name; the nearest wins."""
    folders = {folder: depth for depth, folder in enumerate(reversed(item.path.parents))}
    modules = {
        plugin: folders[Path(plugin.__file__).parent]
        for plugin in item.config.pluginmanager.get_plugins()
        if inspect.ismodule(plugin) and plugin.__file__ and Path(plugin.__file__).parent in folders
    }
    own = item.getparent(pytest.Module)
    found = {}
    for module in [*sorted(modules, key=modules.__getitem__), *([own.obj] if own else [])]:
        for value in vars(module).values():
            spec = vars(value).get("dspex_program") if type(value) is _Fixture else None
            if spec is not None:
                found[spec.name] = spec
    return found
