from dataclasses import replace
from pathlib import Path

import pytest

from pytest_dspex.gates.baselines import Baselines
from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.records import CaseFacts, CaseRecord, Collected, Evaluation, RecordedScore
from pytest_dspex.reports import model, terminal
from pytest_dspex.reports.model import Report

TEST = "tests/intents/test_banking.py::TestIntent::test_intent"


def suite_of(test, cases, *, gates=(), expected=0):
    collected = Collected(expected, "", tuple(gates))
    return model.suite_of(test, cases, collected=collected, expected=expected, baselines=Baselines(Path()))


def cases_of(*values, outcome="pass"):
    return [
        CaseRecord(f"{TEST}[{place}]", TEST, str(place), outcome, {"accuracy": RecordedScore(float(value))})
        for place, value in enumerate(values)
    ]


def gated(*values, minimum=0.5, expected=None, test=TEST):
    cases = cases_of(*values)
    return suite_of(test, cases, gates=[Gate("accuracy", minimum)], expected=expected or len(cases))


@pytest.fixture
def written(pytester, capsys):
    def write(report, *, width=150):
        reporter = pytester.parseconfigure().pluginmanager.getplugin("terminalreporter")
        reporter.config.get_terminal_writer().fullwidth = width
        capsys.readouterr()
        terminal.write(reporter, report)
        return capsys.readouterr().out.splitlines()

    return write


def test_nothing_is_written_when_no_dspex_test_ran(written):
    assert written(Report()) == []


def test_a_test_without_scores_has_no_row(written):
    assert written(Report(suites=(suite_of(TEST, [CaseRecord(TEST, TEST, "", "pass")]),))) == []


def test_the_table_has_a_row_for_each_gate_score_and_evaluation_below_its_test(written):
    evaluation = Evaluation("test_all.py::test_all", "exact_match", mean=0.9, low=0.8, high=0.95, n=50, errors=2)
    report = Report(suites=(gated(1, 1, 1, 0), suite_of(TEST, cases_of(0.25))), evaluations=(evaluation,))
    section, headers, rule, *rows = written(report)
    assert section.strip("= ") == "dspex"
    assert headers.split() == ["score", "mean", "95", "%", "interval", "n", "errors", "gate", "verdict"]
    assert set(rule) == {"-", " "}
    assert [row.split() for row in rows] == [
        [TEST],
        ["accuracy", "0.75", "0.30", "to", "0.95", "4", "0", ">=", "0.5", "passed"],
        [TEST],
        ["accuracy", "0.25", "0.25", "to", "0.25", "1", "0"],
        ["test_all.py::test_all"],
        ["exact_match", "0.90", "0.80", "to", "0.95", "50", "2"],
    ]


def test_a_column_counts_the_cases_that_did_not_record_a_score(written):
    silent = CaseRecord(f"{TEST}[silent]", TEST, "silent", "pass")
    suite = suite_of(TEST, [*cases_of(1, 1), silent], gates=[Gate("accuracy", 0.5)], expected=3)
    _, headers, _, _, row = written(Report(suites=(suite,)))
    assert headers.index("no score") < row.index("1 ", row.index("3")) < headers.index("gate")


def test_gates_that_did_not_pass_say_why_below_the_table(written):
    lines = written(Report(suites=(gated(1, 0, minimum=0.75), gated(1, expected=10), gated(1))))
    assert lines[-2].startswith(f"{TEST}[gate-accuracy] failed: accuracy 0.5 ")
    assert lines[-1] == f"{TEST}[gate-accuracy] not evaluated: 1/10 cases"


def test_a_gate_without_any_case_shows_no_numbers(written):
    lines = written(Report(suites=(suite_of(TEST, [], gates=[Gate("accuracy", 0.5)], expected=3),)))
    assert lines[4].split() == ["accuracy", "-", "-", "0", ">=", "0.5", "not", "evaluated"]


def test_notes_stand_at_the_end_and_also_without_a_table(written):
    lines = written(Report(notes=("LM calls: 3 replayed", "intent: kept")))
    assert [line for line in lines if "=" not in line] == ["LM calls: 3 replayed", "intent: kept"]


@pytest.mark.parametrize("width", [20, 80, 200])
def test_node_ids_are_whole_at_any_width_so_that_two_suites_look_different(written, width):
    tests = [f"applications/{name}/tests/behaviour/test_intent_e.py::test_x" for name in ("billing", "support")]
    lines = written(Report(suites=tuple(gated(1, 0, test=test) for test in tests)), width=width)
    assert [line for line in lines if line in tests] == tests


def test_the_rows_of_a_gate_fit_in_80_columns(written):
    lines = written(Report(suites=(gated(1, 1, 1, 0, minimum=0.85),)), width=80)
    assert max(map(len, lines[:-1])) <= 80  # the last one is the reason of the gate


def test_rows_with_several_attempts_show_both_counts(written):
    rows = [replace(case, facts=CaseFacts(row_id=f"r{n // 3}")) for n, case in enumerate(cases_of(1, 1, 0, 1, 1, 1))]
    assert "  2 (6)  " in written(Report(suites=(suite_of(TEST, rows, gates=[Gate("accuracy", 0.5)]),)))[4]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((1, 1, 1, 0), ("0.75", "0.30", "0.95")),
        ([1] * 1753 + [0] * 247, ("0.876", "0.861", "0.890")),
        ((0.5,), ("0.5", "0.5", "0.5")),
    ],
)
def test_numbers_have_the_digits_that_their_interval_gives_sense_to(written, values, shown):
    row = written(Report(suites=(suite_of(TEST, cases_of(*values)),)))[4].split()
    assert (row[1], row[2], row[4]) == shown


def test_everything_drawn_is_ascii(written):
    report = Report(suites=(gated(1, 0, minimum=0.9), gated(1, expected=2)), notes=("note",))
    assert all(line.isascii() for line in written(report))


def test_the_interval_of_a_gated_score_is_computed_once():
    suite = suite_of(TEST, cases_of(0.25, 0.5), gates=[Gate("accuracy", 0.1), Gate("accuracy", 0.9)], expected=2)
    assert all(verdict.interval is suite.scores[0].interval for verdict in suite.verdicts)
