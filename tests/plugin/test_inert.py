"""What a session that only replays, or does not use the plugin, leaves alone."""

import pytest

WATCH = """
    import sys

    OPENED = []

    def listen(event, arguments):
        if event in ("socket.__new__", "socket.connect", "socket.bind", "subprocess.Popen"):
            OPENED.append(event)

    sys.addaudithook(listen)

    def pytest_unconfigure():
        roots = {name.partition(".")[0] for name in sys.modules}
        heavy = {"litellm", "openai", "vcr", "numpy", "sklearn", "scipy", "pydantic", "aiohttp", "urllib3", "tqdm"}
        print("opened:", OPENED)
        print("loaded:", sorted(roots & heavy))
"""


@pytest.fixture(autouse=True)
def _no_other_plugins_that_load_much(pytester, monkeypatch):  # after pytester, which discards these options
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:langsmith_plugin")  # it comes with langchain-core


def test_a_session_that_replays_texts_opens_no_socket_and_loads_nothing_heavy(project, pytester):
    project.rows("red", "blue")
    project.test()
    pytester.runpytest_subprocess("--dspex-record=new").assert_outcomes(passed=2)
    project.conftest(more=WATCH)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["opened: []", "loaded: []"])


def test_a_session_with_the_default_lm_that_replays_starts_nothing(project, pytester):
    pytester.makeconftest("")
    project.conftest("", more=WATCH)
    project.test(
        """
        from dspex_core import Predict

        def test_it(lm):
            Predict("question -> answer")(question="?")
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_it calls 'local/smollm2-135m-instruct', and no call is recorded yet*"])
    result.stdout.fnmatch_lines(["opened: []"])
    loaded = next(line for line in result.outlines if line.startswith("loaded:"))
    assert "litellm" not in loaded
    assert "aiohttp" not in loaded


def test_a_session_that_does_not_use_the_plugin_loads_nothing_heavy_and_says_nothing(project, pytester):
    project.conftest("", more=WATCH)
    project.test("def test_one(): pass\n\ndef test_two(): assert 1 == 2")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["opened: []", "loaded: []"])
    without = pytester.runpytest_subprocess("-p", "no:dspex")
    assert _said(result) == _said(without)


def _said(result):
    lines = [line for line in result.outlines if not line.startswith(("plugins:", "rootdir:", "="))]
    return [line for line in lines if " in " not in line]
