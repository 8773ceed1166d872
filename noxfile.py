"""What is checked, and how. `nox -l` lists the sessions; what follows `--` goes to pytest."""

import re

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "fast"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CONSTRAINTS = ("-c", "constraints.txt")
# A few minutes on a laptop: no embedded LM, no real DSPy, no session in a process of its own.
FAST = ("tests/test_public_names.py", "tests/core", "--ignore=tests/core/lm/test_local.py")
# The parts that touch most of other libraries.
OTHERS = (
    "tests/test_public_names.py",
    "tests/core/datasets",
    "tests/core/evaluation/test_executors.py",
    "tests/core/lm",
    "tests/core/serve",
    "tests/core/retrievers/test_embedders.py",
    "tests/core/interpreter/test_interpreter.py",
    "tests/core/tools/test_langchain_tools.py",
    "tests/core/tools/test_mcp.py",
    "tests/core/metrics/test_metrics.py",
    "tests/core/retrievers/test_retrieval.py",
    "tests/plugin/test_gates.py",
    "tests/plugin/test_inert.py",
)


def _group(name: str) -> tuple[str, ...]:
    """Return the requirements of a dependency group."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and order of the code."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of both packages, and those that users of the public API see."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("mypy", "-p", "dspex_core", "-p", "pytest_dspex")
    session.run("pytest", "tests/test_typing.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests, with the versions of constraints.txt, and with more examples of each property."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("pytest", "-n", "2", *session.posargs, env={"DSPEX_EXAMPLES": "200", "DSPEX_REPLIES": "1000"})


@nox.session
def together(session: nox.Session) -> None:
    """Run sessions with other plugins, which would act on all other tests, too."""
    others = _group("together")
    session.install(*CONSTRAINTS, "-e", ".[dev]", *others)
    names = [re.split(r"\W", other.removeprefix("pytest-"))[0] for other in others]
    without = [f"-pno:{name}" for name in names]  # the tests load them where they need them
    session.run("pytest", *without, "tests/plugin/test_other_plugins.py", *session.posargs)


@nox.session
def fast(session: nox.Session) -> None:
    """Run the tests that one runs while working."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    session.run("pytest", "-n", "2", *(session.posargs or FAST))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into build/site, and run the code in the README and in docs/."""
    session.install(*CONSTRAINTS, "-e", ".[dev]", *_group("docs"))
    session.run("python", "docs/build_site.py")
    session.run("pytest", "tests/test_docs.py", "tests/test_site.py", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure calls, imports and pytest sessions; benchmarks/README.md says what each script does."""
    session.install(*CONSTRAINTS, "-e", ".[dev]")
    for script in session.posargs or ("call_overhead.py", "machinery.py", "pytest_startup.py"):
        session.run("python", f"benchmarks/{script}")


@nox.session
def latest(session: nox.Session) -> None:
    """Run the tests with the newest version of everything."""
    session.install("--upgrade", "-e", ".[dev]")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the tests of what other libraries do for us, with the lowest versions that pyproject.toml allows.

    Without real DSPy, which itself asks for newer versions.
    """
    session.install(
        "--resolution=lowest-direct",
        "-e",
        ".[datasets,distributed,langchain,local,mcp,metrics,optimize,otel,parquet,serve]",
        "hypothesis>=6.110",
        "jsonschema>=4.20",
        "pandas>=2",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
    )
    session.run("pytest", "-n", "2", *(session.posargs or OTHERS))


@nox.session
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew, with the newest versions."""
    session.install("uv")
    session.run(".ci/constraints.sh", external=True)
