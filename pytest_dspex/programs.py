"""`@program`: a program under test, as a fixture that loads its compiled artifact. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pytest

from pytest_dspex.collecting.source import located
from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from dspex_core import Example, Module, Optimizer

Dataset = str | Path | Sequence["Example"]
Program = TypeVar("Program", bound="Callable[..., Any]")

# The type of fixture definitions. Attributes of other objects in a module are not read: some of these are
# proxies that raise an error or load much code.
_Fixture = type(pytest.fixture(lambda: None))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # compared by identity
class ProgramSpec:
    """A registered program: how it is built, compiled and scored. `folder` is that of its conftest."""

    name: str
    folder: Path
    builder: Callable[[], Any]
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

    def build(self) -> Callable[..., Any]:
        """Build the program, uncompiled: a `Module`, or another callable.

        Raises:
            ConfigurationError: The decorated function does not return a program, or only a `Module` can have what the
                program has.
        """
        from dspex_core import ConfigurationError, Module
        from dspex_core.plugin_api import adopted

        built: Callable[..., Any] = adopted(self.builder())
        if isinstance(built, Module):
            return built
        if not callable(built) or isinstance(built, type):
            raise ConfigurationError(
                f"@program {self.name!r} returned {built!r}; return a Module, such as Predict(...), or another "
                "callable; a function that is the program itself takes the inputs as parameters"
            )
        if self.optimizer is not None:
            raise ConfigurationError(f"@program {self.name!r} has an optimizer, but {built!r} is not a Module")
        if self.artifact.exists():
            raise ConfigurationError(
                f"@program {self.name!r} is not a Module, so it cannot load its artifact {self.artifact}: delete the "
                "file, or name the program differently"
            )
        return built

    def build_module(self) -> Module:
        """Build the program, uncompiled, if it is a `Module`.

        Raises:
            ConfigurationError: The program is another callable, or the decorated function does not return a program.
        """
        from dspex_core import ConfigurationError, Module

        built = self.build()
        if not isinstance(built, Module):
            raise ConfigurationError(f"@program {self.name!r} is not a Module, so it cannot be compiled")
        return built

    def load(self, built: Module) -> Module:
        """Load the artifact, where there is one, into a program that `build` has made, and return it.

        Raises:
            ArtifactError: The artifact cannot be loaded, or was compiled from another source.
        """
        if self.artifact.exists():
            built.load(self.artifact, strict=True)
        return built

    def examples(self, dataset: Dataset, *, program: Module, inputs: Sequence[str] | None = None) -> list[Example]:
        """Read one of the program's datasets; `inputs` is the default of the program's own `inputs`.

        Raises:
            DatasetError: The dataset cannot be read, or a row lacks an input.
        """
        return read_examples(dataset, self.folder, program=program, inputs=self.inputs or inputs)


# Of the session's config: the programs that were built before their fixtures, as they were built.
BUILT = pytest.StashKey[dict[ProgramSpec, "Module"]]()


def read_examples(
    dataset: Any, folder: Path, *, program: Callable[..., Any], inputs: Sequence[str] | None
) -> list[Example]:
    """Read a dataset of any form that `load_dataset` takes; a path is relative to `folder`.

    Without `inputs`, the inputs of a row are those that it names itself, else those of its fields
    that are an input of one of the program's predictors, or a parameter of a program that is a function.

    Raises:
        ConfigurationError: The parameters of the program do not say which fields are its inputs.
        DatasetError: The dataset cannot be read, or a row lacks an input.
    """
    from dspex_core import load_dataset

    if isinstance(dataset, list | tuple) and all(hasattr(row, "inputs") for row in dataset):
        return list(dataset)  # examples, also another library's, which may come from several datasets with equal ids
    examples = load_dataset(located(dataset, folder), inputs=inputs)
    if inputs is not None or all(example.input_keys for example in examples):
        return examples
    wanted = input_names(program)
    return [
        example if example.input_keys else example.with_inputs(*(wanted & set(example.keys()))) for example in examples
    ]


def input_names(program: Callable[..., Any]) -> set[str]:
    """Return the inputs of a program's predictors, or the parameters of a program that is a function.

    Raises:
        ConfigurationError: The parameters of the program do not say what its inputs are.
    """
    from dspex_core import ConfigurationError, Module

    if isinstance(program, Module):
        return {name for _, predictor in program.every_predictor() for name in predictor.signature.input_fields}
    try:
        parameters = tuple(inspect.signature(program).parameters.values())
    except (TypeError, ValueError):  # of some callables that are written in C
        parameters = ()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        raise ConfigurationError(
            f"{program!r} takes any fields, so it is not known which of a row are inputs: give inputs=[...]"
        )
    return {parameter.name for parameter in parameters}


@overload
def program(build: Program) -> Program: ...


@overload
def program(
    *,
    name: str | None = None,
    optimizer: Optimizer | None = None,
    metric: Callable[..., Any] | None = None,
    trainset: Dataset | None = None,
    valset: Dataset | None = None,
    testset: Dataset | None = None,
    inputs: Sequence[str] | None = None,
) -> Callable[[Program], Program]: ...


def program(
    build: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    optimizer: Optimizer | None = None,
    metric: Callable[..., Any] | None = None,
    trainset: Dataset | None = None,
    valset: Dataset | None = None,
    testset: Dataset | None = None,
    inputs: Sequence[str] | None = None,
) -> Any:
    """Make a program a session fixture of the decorated function's name.

    A function without parameters builds the program and returns it: a `Module`, or any other callable. A function
    with parameters is the program: it is called with the inputs of each row, and may be async. Calls of an LM are
    recorded whichever library makes them, and what the function returns is the prediction as it is.

    For a `Module`, the fixture is the compiled program when `artifacts/<name>.json` lies beside the file that
    defines it, else the program as built. `--dspex-optimize` compiles it and writes that file.

    Args:
        build: The function.
        name: The name of the fixture; a callable without a name of its own, such as a `functools.partial`, needs it.
        optimizer: The optimizer that compiles the program; without it `--dspex-optimize` skips the program.
        metric: The metric that scores the stored and the new program; by default the optimizer's own.
        trainset: The optimizer's examples, or the path of a dataset, relative to the defining file.
        valset: As `trainset`; the examples by which the optimizer chooses.
        testset: The held-out examples on which the stored and the new program are compared; by
            default the rows of the `dspex_data` tests that use the program.
        inputs: The input fields of the datasets. By default those of the held-out examples; if these
            do not name any, the fields that are an input of one of the program's predictors.

    Raises:
        TypeError: The decorated object is neither a function that builds a program nor a program, or the function is
            the program and has an optimizer, which compiles a `Module`.
    """
    datasets: dict[str, Any] = {"trainset": trainset, "valset": valset, "testset": testset}
    if build is None:
        return functools.partial(_registered, name=name, optimizer=optimizer, metric=metric, inputs=inputs, **datasets)
    return _registered(build, name=name, optimizer=optimizer, metric=metric, inputs=inputs, **datasets)


def _registered(build: Callable[..., Any], *, name: str | None, optimizer: Optimizer | None, **options: Any) -> Any:
    name = name or _name_of(build)
    if optimizer is not None:
        from dspex_core.plugin_api import adopted_optimizer  # whoever has an optimizer has the core

        optimizer = adopted_optimizer(optimizer)
    is_program = _is_program(build, name)
    if is_program and optimizer is not None:
        raise TypeError(
            f"@program {name!r} has parameters, so it is the program itself, and the optimizer has no Module to "
            "compile: remove optimizer=, or return a Module from a function without parameters"
        )
    builder = (lambda: build) if is_program else build
    folder = _folder_of(build, name)
    return _fixture(ProgramSpec(name=name, folder=folder, builder=builder, optimizer=optimizer, **options))


def _name_of(build: Any) -> str:
    name = build.__name__ if inspect.isroutine(build) or inspect.isclass(build) else ""
    if not name.isidentifier():
        raise TypeError(f"@program cannot name a fixture after {build!r}: decorate a function, or give name=...")
    return str(name)


def _is_program(build: Any, name: str) -> bool:
    """Return whether the decorated object is the program itself; without parameters, a function builds it."""
    if not callable(build):
        raise TypeError(f"@program {name!r} decorates {build!r}, which cannot be called; decorate a function")
    if isinstance(build, type):
        return False  # calling the class makes the program
    try:
        has_parameters = bool(inspect.signature(build).parameters)
    except (TypeError, ValueError):  # written in C
        has_parameters = True
    if not has_parameters and (inspect.iscoroutinefunction(build) or inspect.isasyncgenfunction(build)):
        raise TypeError(
            f"@program {name!r} is async and has no parameters: a function that builds a program is not async, and a "
            "function that is the program takes its inputs as parameters"
        )
    return has_parameters


def _folder_of(build: Any, name: str) -> Path:
    while isinstance(build, functools.partial):
        build = build.func
    source = inspect.unwrap(build) if inspect.isroutine(build) or inspect.isclass(build) else type(build)
    try:
        return Path(inspect.getfile(source)).parent
    except (TypeError, OSError) as error:
        raise TypeError(
            f"@program {name!r} decorates {build!r}, which no Python file defines; decorate a function that calls it"
        ) from error


def _fixture(spec: ProgramSpec) -> Any:
    def load(pytestconfig: pytest.Config) -> Callable[..., Any]:
        from dspex_core import Module

        built = pytestconfig.stash.get(BUILT, {}).pop(spec, None) or spec.build()
        is_used = pytestconfig.stash[OPTIONS].artifacts == "use"
        return spec.load(built) if is_used and isinstance(built, Module) else built

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
