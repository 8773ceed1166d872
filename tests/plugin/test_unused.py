"""What a session costs and is protected from when its tests do not use the plugin."""

import ast

import pytest

LOADED = """
    import sys

    def pytest_unconfigure():
        packages = ("dspex_core", "pytest_dspex")
        print(sorted(name for name in sys.modules if name.split(".")[0] in packages))
"""

# The simplest LM of one's own; it may be put behind a cassette.
ASKS = """
    def test_asks():
        from dspex_core import BaseLM, LMOutput, LMResponse

        class Echo(BaseLM):
            def complete(self, request):
                return LMResponse((LMOutput("heard: " + request.messages[-1].content),))

        assert Echo("test/echo")("a question") == ["heard: a question"]
"""


def test_a_session_without_dspex_tests_loads_next_to_nothing_of_the_plugin(pytester):
    pytester.makeconftest(LOADED)
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    (loaded,) = [line for line in result.outlines if line.startswith("['dspex_core'")]
    names = [name.split(".") for name in ast.literal_eval(loaded)]
    core = {
        path[1] if path[1] != "flow" else ".".join(path[1:])
        for path in names
        if path[0] == "dspex_core" and len(path) > 1
    }
    light = {"config", "errors", "flow", "flow.pieces", "plugin_api"}
    assert core == light
    plugin = {".".join(path[1:]) for path in names if path[0] == "pytest_dspex" and len(path) > 1}
    assert plugin.isdisjoint({"programs", "partial", "collecting.cases", "cassettes.store", "cassettes.recording"})
    assert not any(name.startswith(("session", "optimizing")) for name in plugin)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_test_that_does_not_look_as_if_it_called_an_lm_still_has_its_cassette(pytester, workers):
    pytester.makepyfile(ASKS)
    unrecorded = pytester.runpytest_subprocess("-n", workers)
    unrecorded.assert_outcomes(failed=1)
    unrecorded.stdout.fnmatch_lines(["*no call is recorded yet: its cassette *test_asks.jsonl is missing.*"])
    pytester.runpytest_subprocess("-n", workers, "--dspex-record=new").assert_outcomes(passed=1)
    replayed = pytester.runpytest_subprocess("-n", workers)
    replayed.assert_outcomes(passed=1)
    replayed.stdout.fnmatch_lines(["*LM calls: 1 replayed*"])
