"""The fixtures. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import context
from pytest_dspex.collecting.case import CASE, fixture_definitions
from pytest_dspex.options import OPTIONS
from pytest_dspex.running.around import raise_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core import BaseLM, EvaluationResult, Example, ScriptedLM
    from pytest_dspex.collecting.case import Case
    from pytest_dspex.gates.records import Evaluation


@pytest.fixture(scope="session")
def lm(pytestconfig: pytest.Config) -> BaseLM:
    """Return the LM of the tests: the model of the ini key `dspex_lm`, at temperature 0; conftests may override it."""
    from pytest_dspex.session.lms import session_lm

    return session_lm(pytestconfig)


@pytest.fixture(scope="session")
def judge_lm(request: pytest.FixtureRequest) -> BaseLM:
    """Return the LM of judges: the model of the ini key `dspex_judge_lm`, at temperature 0; without the key, `lm`."""
    from pytest_dspex.session.lms import judge_lm_of

    judge = judge_lm_of(request.config)
    if judge is None:
        judge = request.getfixturevalue("lm")  # not a parameter: a test's own `lm` may have another scope
    return judge


@pytest.fixture
def dspex_request(request: pytest.FixtureRequest) -> pytest.FixtureRequest:
    """Return one `request` for all fixtures of the plugin in a test: pytest makes one for each that asks for it."""
    return request


@pytest.fixture
def dspex_context(dspex_request: pytest.FixtureRequest, lm: BaseLM) -> Iterator[None]:
    """Make `lm` and `judge_lm` the LMs in the settings; the plugin adds this fixture to tests that may call an LM."""
    from pytest_dspex.optimizing.in_use import USED
    from pytest_dspex.session.live import connect_needed, is_needed

    config = dspex_request.config  # a property that looks for it
    if USED in config.stash:
        from pytest_dspex.optimizing.artifacts import check_lm

        check_lm(dspex_request.node, lm)
    if is_needed(config) and _uses_lm(dspex_request):
        connect_needed(config)
    judge = dspex_request.getfixturevalue("judge_lm") if _has_judge(dspex_request.node) else lm
    if is_needed(config, "judge_lm") and _uses_judge(dspex_request):
        connect_needed(config, "judge_lm")
    chosen: dict[str, Any] = {"lm": lm, **({} if judge is lm else {"judge_lm": judge})}
    if config.stash[OPTIONS].executor:
        from pytest_dspex.running.executor import executor_of

        chosen["executor"] = executor_of(config)
    with context(**chosen):
        yield


def _has_judge(item: pytest.Item) -> bool:
    """Return whether the ini key or a fixture of the user's names an LM of its own for judges."""
    return bool(item.config.stash[OPTIONS].judge_lm) or len(fixture_definitions("judge_lm", item)) != 1


def _uses_lm(request: pytest.FixtureRequest) -> bool:
    """Return whether a test surely calls the session's LM: programs that are functions have clients of their own."""
    from dspex_core import Module

    case = request.node.stash.get(CASE, None)
    if case is None or not case.programs or "lm" in inspect.signature(request.function).parameters:
        return True
    return any(isinstance(request.getfixturevalue(spec.name), Module) for spec in case.programs)


def _uses_judge(request: pytest.FixtureRequest) -> bool:
    """Return whether a test may have a judge from its start; in any other, the judge's first call connects its LM."""
    case = request.node.stash.get(CASE, None)
    has_metrics = case is not None and case.source is not None and bool(case.source.metrics)
    return has_metrics or "judge_lm" in request.node.fixturenames


@pytest.fixture
def scripted_lm() -> Iterator[Callable[..., ScriptedLM]]:
    """`scripted_lm(replies)` makes a `ScriptedLM` and sets it as the LM for the rest of the test."""
    from dspex_core import ScriptedLM, configure
    from pytest_dspex.running.arguments import named

    def use(script: Any, **options: Any) -> ScriptedLM:
        lm = ScriptedLM(script, **options)
        configure(lm=lm, judge_lm=None)  # for the context below
        return lm

    with context():
        yield named("scripted_lm", use)


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Example:
    """Return the dataset row of this case; a test of other parameters that uses `prediction` has them in its place."""
    case = request.node.stash.get(CASE, None)
    if case is not None and case.example is not None:
        found: Example = case.example
        return found
    wanted = "prediction" if "prediction" in request.node.fixturenames else "example"
    message = (
        f"{request.node.nodeid} uses the fixture `{wanted}` but has no dataset; "
        "mark it with @pytest.mark.dspex_data(path, inputs=[...])"
    )
    pytest.fail(message, pytrace=False)


@pytest.fixture
def prediction(
    dspex_request: pytest.FixtureRequest,
    example: Example,  # noqa: ARG001  fails with a message if the test has no dataset
    dspex_context: None,  # noqa: ARG001  requested for its effect
) -> Any:
    """Return the program's output for the inputs of `example`; it is made concurrently, ahead of its test."""
    from pytest_dspex.running.prefetch import predicted

    case = _case_of(dspex_request, "prediction")
    assert case.predictor is not None, "a test with this fixture has its program"
    program: Callable[..., Any] = dspex_request.getfixturevalue(case.predictor.name)
    if not callable(program):
        from dspex_core.plugin_api import value_text  # imported only for errors

        message = (
            f"{dspex_request.node.nodeid}: the fixture {case.predictor.name!r} must be the program of "
            f"`prediction`, and is {value_text(program, 200)}; "
            f"if it is a parameter of the test, give the parameter another name"
        )
        pytest.fail(message, pytrace=False)
    made = predicted(dspex_request.node, program, name=case.predictor.name)
    for name, score in made.scores.items():
        case.record(name, score.value, score.feedback, details=score.details)
    case.checks.extend(made.problems)
    return made.prediction


@pytest.fixture
def score(dspex_request: pytest.FixtureRequest) -> Callable[..., None]:
    """`score(name, value, feedback="")` records a score of this case, once; a low score does not fail the test."""
    from pytest_dspex.running.arguments import as_recorded, named

    case = _case_of(dspex_request, "score")

    def record(name: str, value: Any, feedback: str = "") -> None:
        found = as_recorded(name, value)
        case.record(name, found.value, feedback or found.feedback, details=found.details)

    return named("score", record)


@pytest.fixture
def check(dspex_request: pytest.FixtureRequest) -> Iterator[Callable[..., bool]]:
    """`check(condition, message)` records a failed condition; the test goes on, and fails at its end with all.

    A condition that fails while fixtures are torn down fails the test, too.
    """
    from pytest_dspex.running.arguments import check_condition, named

    failed = _case_of(dspex_request, "check").checks

    def record(condition: Any, message: str) -> bool:
        check_condition(condition, message)
        if not condition:
            failed.append(message)
        return bool(condition)

    yield named("check", record)
    raise_checks(dspex_request.node)  # those of the fixtures that use it, which are torn down by now


@pytest.fixture
def evaluate(
    dspex_request: pytest.FixtureRequest,
    dspex_context: None,  # noqa: ARG001  requested for its effect
) -> Callable[..., EvaluationResult]:
    """`evaluate(program, dataset, metric=..., inputs=[...])` scores a program on a whole dataset.

    `dataset` is a path relative to the test's file, or what `load_dataset` takes: examples, dicts, a
    DataFrame, ... `inputs` names the input fields of its rows; by default, those that are an input of one
    of the program's predictors, or a parameter of a program that is a function. Compare the result with a
    threshold: `assert result >= 0.85`. A failed comparison lists the worst examples.
    """
    from dspex_core import Evaluate
    from pytest_dspex.collecting import from_plugins
    from pytest_dspex.programs import read_examples
    from pytest_dspex.running.arguments import check_evaluated, named
    from pytest_dspex.running.awaiting import for_evaluation

    case, options = _case_of(dspex_request, "evaluate"), dspex_request.config.stash[OPTIONS]

    def run(
        program: Callable[..., Any],
        dataset: Any,
        *,
        metric: Callable[..., Any],
        inputs: Sequence[str] | None = None,
    ) -> EvaluationResult:
        check_evaluated(program, inputs)
        rows = from_plugins.dataset(dataset, dspex_request.node)
        examples = read_examples(rows, dspex_request.path.parent, program=program, inputs=inputs)
        score = Evaluate(devset=examples, metric=metric, num_threads=options.concurrency, max_errors=len(examples))
        result = score(for_evaluation(dspex_request.config, program))
        case.evaluations.append(_evaluation(dspex_request.node.nodeid, result))
        return result

    return named("evaluate", run)


def _evaluation(test: str, result: EvaluationResult) -> Evaluation:
    from pytest_dspex.gates.records import Evaluation  # only tests that evaluate need it

    return Evaluation(
        test=test,
        score=result.metric,
        mean=result.mean,
        low=result.interval.low,
        high=result.interval.high,
        n=len(result),
        errors=len(result.errors),
    )


def _case_of(request: pytest.FixtureRequest, fixture: str) -> Case:
    case: Case | None = request.node.stash.get(CASE, None)
    if case is None:  # pytest names a test's fixtures when it collects it, where the test gets its case
        message = (
            f"{request.node.nodeid} asks for the fixture {fixture!r} only while it runs; make it a "
            "parameter of the test, or of a fixture that is one"
        )
        pytest.fail(message, pytrace=False)
    return case
