"""LM calls of shared fixtures are recorded in cassettes of the fixtures, so that any test replays alone."""

import pytest
from cassette_files import calls_in

FIXTURES = """
    import threading
    import pytest

    def word_of(lm, word):
        return lm(f"Say {word}")[0].split()[-1]

    @pytest.fixture(scope="session")
    def shared(lm):
        yield word_of(lm, "session")
        word_of(lm, "teardown")

    @pytest.fixture(scope="package")
    def packaged(lm):
        return word_of(lm, "package")

    @pytest.fixture(scope="session", params=["red", pytest.param("blue", id="azure")])
    def color(lm, request):
        return word_of(lm, request.param)

    @pytest.fixture(scope="module")
    def shade(lm, color):
        return word_of(lm, f"dark{color}")

    @pytest.fixture(scope="session")
    def warm(lm):
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(word_of(lm, "thread"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    @pytest.fixture
    def own(lm):
        return word_of(lm, "function")
"""

TESTS = """
    import pytest

    @pytest.fixture(scope="module")
    def moduled(lm):
        return lm("Say module")[0].split()[-1]

    def setup_module():
        from conftest import EchoLM
        assert EchoLM("test/echo")("Say xunit")[0].split()[-1] == "xunit"

    class TestIn:
        @pytest.fixture(scope="class")
        def classed(self, lm):
            return lm("Say class")[0].split()[-1]

        def test_first(self, shared, classed, packaged, moduled, warm, own):
            said = [shared, classed, packaged, moduled, *warm, own]
            assert said == ["session", "class", "package", "module", "thread", "thread", "function"]

    def test_second(shared, moduled, color, shade):
        assert (shared, moduled, shade) == ("session", "module", f"dark{color}")
"""

SELECTIONS = [
    ["test_it.py::test_second[red]"],
    ["-k", "azure"],
    ["test_it.py::TestIn::test_first"],
    ["test_it.py::test_second", "test_it.py::TestIn"],
]


@pytest.fixture
def shared(project):
    project.conftest(more=FIXTURES)
    project.test(TESTS)
    return project


def cassettes(project):
    """The cases and questions of each cassette."""
    found = {}
    for path in sorted(project.path.rglob("*.jsonl")):
        asked = sorted((entry["case"], entry["request"]["messages"][-1]["content"]) for entry in calls_in(path))
        found[path.relative_to(project.path / "cassettes").as_posix()] = asked
    return found


def test_each_fixture_has_a_cassette_beside_the_file_that_defines_it(shared, run):
    run("--dspex-record=new").assert_outcomes(passed=3)
    assert cassettes(shared) == {
        "conftest/fixture-color.jsonl": [("azure", "Say blue"), ("red", "Say red")],
        "conftest/fixture-packaged.jsonl": [("", "Say package")],
        "conftest/fixture-shade.jsonl": [("test_it.py-azure", "Say darkblue"), ("test_it.py-red", "Say darkred")],
        "conftest/fixture-shared.jsonl": [("", "Say session"), ("", "Say teardown")],
        "conftest/fixture-warm.jsonl": [("", "Say thread"), ("", "Say thread")],
        "test_it/TestIn.test_first.jsonl": [("", "Say function")],
        "test_it/fixture-TestIn.classed.jsonl": [("TestIn", "Say class")],
        "test_it/fixture-moduled.jsonl": [("", "Say module")],
        "test_it/fixture-setup_module.jsonl": [("", "Say xunit")],
    }
    shared.forget_calls()
    result = run()
    result.assert_outcomes(passed=3)
    assert shared.calls == []


@pytest.mark.parametrize("selection", SELECTIONS, ids=" ".join)
def test_any_selection_and_order_replays(shared, alone, selection):
    alone("--dspex-record=new").assert_outcomes(passed=3)
    shared.forget_calls()
    result = alone(*selection)
    assert result.ret == 0
    assert shared.calls == []


def test_all_drops_what_a_fixture_no_longer_asks_and_keeps_the_cases_that_did_not_run(shared, run):
    run("--dspex-record=new")
    shared.conftest(
        more=FIXTURES.replace('lm, "session"', 'lm, "other"').replace("request.param)", "request.param.upper())")
    )
    shared.test(TESTS.replace('"session"', '"other"'))
    assert run("--dspex-record=all", "-k", "not azure").ret == 0
    after = cassettes(shared)
    assert after["conftest/fixture-shared.jsonl"] == [("", "Say other"), ("", "Say teardown")]
    assert after["conftest/fixture-color.jsonl"] == [("azure", "Say blue"), ("red", "Say RED")]


def test_a_miss_in_a_fixture_names_its_cassette(shared, alone):
    result = alone("-k", "first")
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["fixture-* calls 'test/echo', and no call is recorded yet: its cassette *fixture-*"])


SERVICE = """
    import queue
    import threading
    import pytest

    @pytest.fixture(scope="session")
    def client(lm):
        lm("Say hello")
        return lm

    @pytest.fixture(scope="module")
    def service(lm):
        questions, answers = queue.Queue(), queue.Queue()

        def serve():
            while (question := questions.get()) is not None:
                answers.put(lm(question)[0].split()[-1])

        thread = threading.Thread(target=serve)
        thread.start()

        def ask(word):
            questions.put(f"Say {word}")
            return answers.get()

        assert ask("ready") == "ready"
        yield ask
        assert ask("bye") == "bye"
        questions.put(None)
        thread.join()

    def test_client(client):
        client("Say later")

    def test_service(service):
        assert service("now") == "now"
"""


def test_calls_that_tests_have_a_fixture_make_belong_to_the_tests(project, run):
    project.test(SERVICE)
    run("--dspex-record=new").assert_outcomes(passed=2)
    assert cassettes(project) == {
        "test_it/fixture-client.jsonl": [("", "Say hello")],
        "test_it/fixture-service.jsonl": [("", "Say bye"), ("", "Say ready")],
        "test_it/test_client.jsonl": [("", "Say later")],
        "test_it/test_service.jsonl": [("", "Say now")],
    }
    project.forget_calls()
    assert run("-k", "service").ret == 0
    assert project.calls == []


ASYNC = """
    import asyncio
    import pytest
    import {plugin}

    @{fixture}(scope="module"{more})
    async def first(lm):
        said, *_ = await asyncio.gather(lm.acall("Say first"), lm.acall("Say task"))
        yield said[0].split()[-1]
        await lm.acall("Say end")

    {mark}
    async def test_one(first, lm):
        await lm.acall("Say one")
        assert first == "first"

    {mark}
    async def test_two(first):
        assert first == "first"
"""
BY_ASYNCIO = {
    "plugin": "pytest_asyncio",
    "fixture": "pytest_asyncio.fixture",
    "more": ', loop_scope="module"',
    "mark": '@pytest.mark.asyncio(loop_scope="module")',
}
BY_ANYIO = {
    "plugin": "anyio",
    "fixture": "pytest.fixture",
    "more": "",
    "mark": '@pytest.mark.parametrize("anyio_backend", ["asyncio"], scope="module")\n    @pytest.mark.anyio',
}


@pytest.mark.parametrize("how", [BY_ASYNCIO, BY_ANYIO], ids=["pytest-asyncio", "anyio"])
def test_async_fixtures_have_cassettes_too(project, pytester, how):
    pytest.importorskip(how["plugin"])
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    project.test(ASYNC.format(**how))
    pytester.runpytest_subprocess("--dspex-record=new").assert_outcomes(passed=2)
    found = {name: [question for _, question in asked] for name, asked in cassettes(project).items()}
    assert found == {
        "test_it/fixture-first.jsonl": ["Say end", "Say first", "Say task"],
        "test_it/test_one.jsonl": ["Say one"],
    }
    project.forget_calls()
    pytester.runpytest_subprocess("-k", "two").assert_outcomes(passed=1, deselected=1)
    assert project.calls == []
