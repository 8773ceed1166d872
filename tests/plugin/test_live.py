"""The embedded LM in a session: the real one, on loopback."""

import sys

ASKS = """
    import os
    from pathlib import Path

    import pytest

    @pytest.mark.parametrize("number", range(4))
    def test_asks(number, lm):
        lm(f"Say {number}", max_tokens=1)
        with Path(__file__).with_name("servers.txt").open("a") as servers:
            servers.write(f"{os.environ['PYTEST_XDIST_WORKER']} {os.environ['DSPEX_LOCAL_SERVER']}\\n")
"""

SAYS_WHAT_IS_LOADED = """
    import sys

    def pytest_unconfigure(config):
        if not hasattr(config, "workerinput"):
            print("llama.cpp is loaded:", "xllamacpp" in sys.modules)
"""


def test_one_lm_serves_all_workers(project, on_two_workers, pytester):
    pytester.makeconftest(SAYS_WHAT_IS_LOADED)
    project.test(ASKS)
    result = on_two_workers("--dspex-live")
    result.assert_outcomes(passed=4)
    seen = [line.split() for line in (project.path / "servers.txt").read_text().splitlines()]
    assert {worker for worker, _ in seen} == {"gw0", "gw1"}
    assert len({server for _, server in seen}) == 1
    result.stdout.fnmatch_lines(["llama.cpp is loaded: True"])


def test_it_is_not_started_for_workers_that_ask_another_lm(project, on_two_workers, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "xllamacpp"]:
        monkeypatch.delitem(sys.modules, name)  # another test of this process has used it
    project.conftest(more=SAYS_WHAT_IS_LOADED)
    project.rows("red", "blue")
    project.test()
    result = on_two_workers("--dspex-live")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["llama.cpp is loaded: False"])


def test_why_it_cannot_start_is_one_clear_message(project, pytester, monkeypatch):
    monkeypatch.setenv("DSPEX_LOCAL_MODEL", "/no/such.gguf")
    monkeypatch.delenv("DSPEX_LOCAL_SERVER", raising=False)
    pytester.makeconftest("")
    project.test("def test_asks(lm):\n    lm('Say hello')")
    result = pytester.runpytest_subprocess("-n", "1", "--dspex-live")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["LMNotConfiguredError: *DSPEX_LOCAL_MODEL*/no/such.gguf*"])
    result.stdout.no_fnmatch_line("*live.py*")
