"""The exit status in each of these situations, in one process and on two workers."""

import json

import pytest

SUITE = """
    import os
    import signal

    import pytest

    {marks}
    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    def test_qa(example, score):
        if isinstance(example.value, str):
            {special}
        score("accuracy", example.value)
"""
GATE = '@pytest.mark.dspex_gate("accuracy", min=0.8)'
DROP = '@pytest.mark.dspex_gate("accuracy", max_drop=0.02)'
KILL = "os._exit(1)"
OK, FAILED, INTERRUPTED, USAGE, NOTHING = 0, 1, 2, 4, 5
RED = (FAILED, INTERRUPTED, USAGE, NOTHING)

# what is tested: the values of the rows, the gates, what a text among the values does, the options, CI, the exit status
SITUATIONS = {
    "all is well": ((1, 1, 1), GATE, "", (), False, (OK,)),
    "the mean is too low": ((1, 0, 0), GATE, "", (), False, (FAILED,)),
    "the mean is too low with CI": ((1, 0, 0), GATE, "", (), True, (FAILED,)),
    "a case fails and the gate passes": ((*[1] * 9, "x"), GATE, "score('accuracy', 1); assert 0", (), False, (FAILED,)),
    "a case is an error": ((*[1] * 9, "x"), GATE, "raise OSError", (), False, (FAILED,)),
    "all cases are errors": (("x", "x"), GATE.replace("0.8", "0"), "raise OSError", (), False, (FAILED,)),
    "all cases are skipped": (("x", "x"), GATE, "pytest.skip('later')", (), False, (OK,)),
    "all cases are skipped with CI": (("x", "x"), GATE, "pytest.skip('later')", (), True, (FAILED,)),
    "one case is left after skips with CI": ((1, "x", "x"), GATE, "pytest.skip('later')", (), True, (FAILED,)),
    "one case is skipped": ((1, 1, "x"), GATE, "pytest.skip('later')", (), True, (OK,)),
    "one case is selected": ((1, 1), GATE, "", ("-kc0",), False, (OK,)),
    "one case is selected with CI": ((1, 1), GATE, "", ("-kc0",), True, (FAILED,)),
    "one case is selected and must not be": (
        (1, 1),
        GATE,
        "",
        ("-kc0", "--dspex-not-evaluated=fail"),
        False,
        (FAILED,),
    ),
    "a part for a later job with CI": ((1, 1), GATE, "", ("-kc0", "--dspex-partial=p.json"), True, (OK,)),
    "the first failure stops the run": (("x", *[1] * 20), GATE, "assert 0", ("-x",), False, RED),
    "a worker or the process is killed": ((1, "x", 1, 1), GATE, KILL, (), False, RED),
    "the user interrupts": ((1, "x", 1, 1), GATE, "raise KeyboardInterrupt", (), False, RED),
    "the score is misspelt": ((1, 1), GATE.replace("accuracy", "acuracy"), "", (), False, (USAGE,)),
    "the gate has a wrong argument": ((1, 1), GATE.replace("min", "minimum"), "", (), False, RED),
    "the column is misspelt": ((1, 1), GATE.replace("0.8", "0.8, by='land'"), "", (), False, (USAGE,)),
    "a gate on the command line fails": ((1, 0), "", "", ("--dspex-gate=accuracy >= 0.8",), False, (FAILED,)),
    "a gate on the command line is misspelt": ((1, 1), "", "", ("--dspex-gate=acuracy >= 0.8",), False, (USAGE,)),
    "a gate on the command line is malformed": ((1, 1), "", "", ("--dspex-gate=accuracy",), False, (USAGE,)),
    "the baseline is missing with CI": ((1, 1), DROP, "", (), True, (FAILED,)),
    "a cost is not known with CI": ((1, 1), '@pytest.mark.dspex_gate("cost", max=1)', "", (), True, (FAILED,)),
    "a baseline is written from a part": ((1, 1), "", "", ("-kc0", "--dspex-update-baseline"), False, (FAILED,)),
}


@pytest.fixture(params=SITUATIONS)
def situation(request, pytester, monkeypatch):
    """Write the suite; return the options and the exit statuses that are right."""
    values, marks, special, options, is_ci, expected = SITUATIONS[request.param]
    rows = [{"id": f"c{number}", "question": "?", "value": value} for number, value in enumerate(values)]
    (pytester.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pytester.makepyfile(test_it=SUITE.format(marks=marks, special=special or "pass"))
    if is_ci:
        monkeypatch.setenv("CI", "true")
    return request.param, options, expected


def test_the_exit_status_is_right_in_one_process(situation, pytester):
    name, options, expected = situation
    ends_the_process = "killed" in name or "interrupts" in name
    run = pytester.runpytest_subprocess if ends_the_process else pytester.runpytest_inprocess
    assert run(*options).ret in expected


def test_the_exit_status_is_right_on_two_workers(situation, on_two_workers, pytester):
    name, options, expected = situation
    own_process = {"start": pytester.runpytest_subprocess} if "interrupts" in name else {}  # else it interrupts us
    assert on_two_workers(*options, **own_process).ret in expected
