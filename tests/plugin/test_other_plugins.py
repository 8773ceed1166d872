"""Sessions with other plugins, and with options of pytest that change how tests are found, run and reported.

pytest-asyncio, pytest-html, pytest-randomly and pytest-rerunfailures act on every session of their environment,
so that they are in one of their own: `nox -s together`. Without them, their tests are skipped.
"""

import importlib.util
from xml.etree import ElementTree as ET

import pytest

OTHERS = {
    "asyncio": "pytest_asyncio",
    "html": "pytest_html",
    "metadata": "pytest_metadata",
    "randomly": "pytest_randomly",
    "rerunfailures": "pytest_rerunfailures",
}

TEST = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("right", min=0.8)
    def test_high(example, prediction, score):
        score("right", prediction.answer == example.answer)

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("right", min=0.8)
    def test_low(example, prediction, score):
        score("right", prediction.answer == "red")
"""
LOW = "test_low[gate-right]"


@pytest.fixture
def suite(project, pytester):
    """Write and record a suite of which one gate passes and one fails; return what runs it.

    Other plugins get a process of their own, which they may change.
    """
    project.rows("red", "blue", "green")
    project.test(TEST)

    def run(*arguments, using=()):
        for name in using:
            pytest.importorskip(OTHERS[name])
        without = [name for name, module in OTHERS.items() if name not in using and importlib.util.find_spec(module)]
        own_process = using or any(argument.startswith("-n") for argument in arguments)
        started = pytester.runpytest_subprocess if own_process else pytester.runpytest_inprocess
        return started(*(f"-pno:{name}" for name in [*without, "langsmith_plugin"]), *arguments)

    run("--dspex-record=new").assert_outcomes(passed=7, failed=1)
    project.forget_calls()
    return run


@pytest.mark.parametrize("mode", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_gates_are_the_same_in_every_mode_of_xdist(suite, mode):
    result = suite("-n2" if mode == "each" else "-n1", "--dist", mode)  # one worker costs half as much
    result.assert_outcomes(passed=7 if mode != "each" else 13, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_low[[]gate-right[]]*"])


@pytest.mark.parametrize(
    ("options", "outcomes"),
    [
        (["-x"], {"passed": 7, "failed": 1}),
        (["-k", "red"], {"passed": 2, "skipped": 2, "deselected": 4}),
        (["test_it.py::test_low[c-blue]"], {"passed": 1, "skipped": 1}),
        (["-p", "no:cacheprovider"], {"passed": 7, "failed": 1}),
        (["--import-mode=importlib"], {"passed": 7, "failed": 1}),
        (["--ff"], {"passed": 7, "failed": 1}),
        (["--sw"], {"passed": 7, "failed": 1}),
    ],
)
def test_options_of_pytest_keep_their_meaning(suite, options, outcomes):
    result = suite(*options)
    result.assert_outcomes(**outcomes)
    assert result.ret == (1 if outcomes.get("failed") else 0)


def test_without_a_terminal_reporter_a_failed_gate_still_fails_the_session(suite):
    result = suite("-p", "no:terminal", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_a_failed_gate_stands_in_junit_xml(suite, project):
    suite("--junitxml=junit.xml")
    cases = ET.parse(project.path / "junit.xml").iter("testcase")
    assert [case.get("name") for case in cases if case.find("failure") is not None] == [LOW]


def test_collecting_alone_asks_and_decides_nothing(suite):
    result = suite("--co", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["test_it.py::test_high[[]c-red[]]"])
    assert "gate-right" not in result.stdout.str()


def test_suites_of_a_monorepo_with_files_of_one_name_are_kept_apart(project, suite):
    for folder in ("one", "two"):
        project.rows("red", "blue", name=f"{folder}/data.jsonl")
        (project.path / folder / "test_it.py").write_text("\n".join(line[4:] for line in TEST.splitlines()))
    importing = ("--import-mode=importlib", f"--confcutdir={project.path}")
    suite("--dspex-record=new", *importing, "one", "two").assert_outcomes(passed=10, failed=2)
    project.forget_calls()
    suite(*importing, "two").assert_outcomes(passed=5, failed=1)
    suite(*importing, f"--rootdir={project.path / 'one'}", "one").assert_outcomes(passed=5, failed=1)
    (project.path / "one" / "pytest.ini").write_text("[pytest]\n")
    suite(*importing, "-c", "one/pytest.ini", "--rootdir=.", "one", "two").assert_outcomes(passed=10, failed=2)
    assert project.calls == []
    assert (project.path / "one" / "cassettes" / "test_it" / "test_low.jsonl").exists()


def test_a_failed_gate_stands_in_the_page_of_pytest_html(suite, project):
    suite("--html=page.html", "--self-contained-html", using=["html", "metadata"])
    page = (project.path / "page.html").read_text()
    assert LOW in page.replace("&#34;", '"')


def test_a_random_order_replays_all_calls(suite, project):
    for seed in (1, 2):
        suite(f"--randomly-seed={seed}", using=["randomly"]).assert_outcomes(passed=7, failed=1)
    assert project.calls == []


def test_a_rerun_replaces_the_attempt_before_it(suite, project):
    project.test(
        """
        import pytest

        TRIED = []

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("right", min=1)
        def test_high(example, prediction, score):
            TRIED.append(example.answer)
            score("right", TRIED.count(example.answer) > 1)
            assert TRIED.count(example.answer) > 1
        """
    )
    result = suite("--reruns=1", using=["rerunfailures"])
    result.stdout.fnmatch_lines(["*4 passed, 3 rerun*"])
    assert result.ret == 0


RETRY = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and call.excinfo is not None:
        item.ihook.pytest_runtest_teardown(item=item, nextitem=pytest.Class.from_parent(item.session, name="Other"))
        item._initrequest()
        item.ihook.pytest_runtest_setup(item=item)
        again = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
        report.outcome = "failed" if again.excinfo else "passed"
        report.longrepr = None if not again.excinfo else report.longrepr
    return report
"""


def test_an_attempt_within_the_report_of_the_first_replaces_it(suite, project):
    """As pytest-retry does it, which runs a test again before its first report is finished."""
    project.test(
        """
        import pytest

        TRIED = []

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("right", min=1)
        @pytest.mark.dspex_gate("wrong", max=0)
        def test_high(example, prediction, score):
            TRIED.append(example.answer)
            score("right", prediction.answer == example.answer and TRIED.count(example.answer) > 1)
            score("wrong", example.answer == "blue" and TRIED.count(example.answer) > 1)
            assert TRIED.count(example.answer) > (2 if example.answer == "blue" else 1)
        """
    )
    project.conftest(more=RETRY)
    result = suite()
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["FAILED*gate-wrong*"])
    assert project.calls == []


ASYNC = """
    import pytest

    @pytest.mark.{plugin}
    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("right", min=1)
    async def test_async(example, prediction, qa, score):
        answer = (await qa.acall(question=example.question)).answer
        score("right", answer == prediction.answer == example.answer)
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_async_tests_of_pytest_asyncio_are_recorded_and_gated(suite, project, mode):
    project.test(ASYNC.format(plugin="asyncio"), name="test_async")
    options = ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function", "test_async.py"]
    suite("--dspex-record=new", *options, using=["asyncio"]).assert_outcomes(passed=4)
    project.forget_calls()
    suite(*options, using=["asyncio"]).assert_outcomes(passed=4)
    assert project.calls == []


def test_async_tests_of_anyio_are_recorded_and_gated(suite, project):
    pytest.importorskip("anyio")
    project.test(ASYNC.format(plugin="anyio"), name="test_async")
    project.conftest(more="@pytest.fixture\ndef anyio_backend(): return 'asyncio'")
    suite("--dspex-record=new", "test_async.py").assert_outcomes(passed=4)
    project.forget_calls()
    suite("test_async.py").assert_outcomes(passed=4)
    assert project.calls == []


@pytest.mark.parametrize("way", ["-p dspex", "-p pytest_dspex.plugin", "pytest_plugins"])
def test_the_plugin_may_be_named_although_it_is_loaded_anyway(pytester, way):
    pytester.makepyfile("def test_it(lm): pass")
    if way == "pytest_plugins":
        pytester.makeconftest("pytest_plugins = ['pytest_dspex.plugin']")
    pytester.runpytest_inprocess(*([] if way == "pytest_plugins" else way.split())).assert_outcomes(passed=1)
