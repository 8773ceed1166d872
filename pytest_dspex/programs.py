"""`@program`: a program under test, as a fixture that loads its compiled artifact. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pytest

if TYPE_CHECKING:
    from dspex_core import Example, Module, Optimizer

Dataset = str | Path | Sequence["Example"]
Builder = TypeVar("Builder", bound="Callable[[], Module]")

# What `@pytest.fixture` makes. Other objects in a module are not looked into: some of them are
# proxies that raise, or load much, when they are asked for an attribute.
_Fixture = type(pytest.fixture(lambda: None))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # each is one of its kind
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
            ConfigurationError: The decorated function has returned something else.
        """
        from dspex_core import ConfigurationError, Module

        built = self.builder()
        if not isinstance(built, Module):
            message = f"@program {self.name} must return a Module, such as Predict(...), not {built!r}"
            raise ConfigurationError(message)
        return built

    def load(self) -> Module:
        """Build the program and, where there is an artifact, load it."""
        built = self.build()
        if self.artifact.exists():
            built.load(self.artifact)
        return built

    def examples(self, dataset: Dataset, *, inputs: Sequence[str] | None = None) -> list[Example]:
        """Read one of its datasets; `inputs` is for a program that does not name its own.

        Raises:
            DatasetError: It cannot be read, or a row lacks an input.
        """
        return read_examples(dataset, self.folder, program=self.build(), inputs=self.inputs or inputs)


def read_examples(
    dataset: Dataset, folder: Path, *, program: Callable[..., Any], inputs: Sequence[str] | None
) -> list[Example]:
    """Read a dataset; a path is relative to `folder`.

    Without `inputs`, the inputs of a row are those of its fields that are an input of one of
    the program's predictors.

    Raises:
        DatasetError: It cannot be read, or a row lacks an input.
    """
    from dspex_core import Module, load_dataset

    if not isinstance(dataset, str | Path):
        return list(dataset)
    examples = load_dataset(folder / dataset, inputs=inputs)
    if inputs is not None or not isinstance(program, Module):
        return examples
    wanted = {name for _, predictor in program.every_predictor() for name in predictor.signature.input_fields}
    return [example.with_inputs(*(wanted & set(example.keys()))) for example in examples]


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
        build: The function; takes no arguments and returns a `Module`.
        optimizer: Compiles the program; without it `--dspex-optimize` leaves the program alone.
        metric: Scores incumbent and candidate; by default the optimizer's own.
        trainset: Examples, or a path relative to the defining file, handed to the optimizer.
        valset: As `trainset`; what the optimizer chooses by.
        testset: The held-out examples on which incumbent and candidate are compared; by
            default the rows of the `dspex_data` tests that use the program.
        inputs: The input fields of the datasets; by default those of the held-out examples, and
            where these do not say either, the fields that are an input of one of the program's
            predictors.
    """

    def registered(build: Callable[[], Module]) -> Any:
        if inspect.signature(build).parameters:
            raise TypeError(f"@program {build.__name__}: the function that builds a program takes no arguments")
        spec = ProgramSpec(
            name=build.__name__,
            folder=Path(inspect.getfile(build)).parent,
            builder=build,
            optimizer=optimizer,
            metric=metric,
            trainset=trainset,
            valset=valset,
            testset=testset,
            inputs=inputs,
        )
        return _fixture(spec)

    return registered if build is None else registered(build)


def _fixture(spec: ProgramSpec) -> Any:
    def load() -> Module:
        return spec.load()

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
