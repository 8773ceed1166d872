"""Baselines: written from whole runs alone, compared with care."""

import json
import subprocess
from dataclasses import replace

import pytest

from pytest_dspex.gates.baselines import Baseline, Baselines, Line
from pytest_dspex.gates.drop import corrected, decide_drop
from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.records import CaseFacts, CaseRecord, RecordedScore

WHERE = "test_it.py::test_it"
HASHES = {"row": "r", "program": "p", "metric": "m", "lm": "l"}
DROP = Gate("s", max_drop=0.02)


def records(*values, hashes=HASHES):
    return [
        CaseRecord(f"{WHERE}[c{n}]", WHERE, f"c{n}", "pass", {"s": RecordedScore(value)}, "", CaseFacts(hashes=hashes))
        for n, value in enumerate(values)
    ]


def baseline(*values, hashes=HASHES):
    return Baseline("main", lines={("s", f"c{n}"): Line(f"c{n}", "s", value, hashes) for n, value in enumerate(values)})


def decide(before, after, *, gate=DROP):
    return decide_drop(gate, after, expected=len(after), baseline=before)


# The decision


def test_equal_scores_pass_and_say_what_so_many_cases_can_show():
    verdict = decide(baseline(*[1] * 90, *[0] * 10), records(*[1] * 90, *[0] * 10))
    assert (verdict.status, verdict.drop.n) == ("passed", 100)
    assert "100 cases can show a change of 0.0" in verdict.reason


def test_a_drop_beyond_tolerance_and_chance_fails_with_the_cases_lost():
    verdict = decide(baseline(*[1] * 100), records(*[1] * 94, *[0] * 6))
    assert verdict.status == "failed"
    assert [worst.record.case for worst in verdict.worst] == [f"c{n}" for n in range(94, 100)]


def test_a_drop_that_may_be_chance_is_inconclusive():
    verdict = decide(baseline(*[1] * 50), records(*[1] * 47, *[0] * 3))
    assert (verdict.status, verdict.drop.p_value) == ("inconclusive", 0.125)


def test_a_drop_within_the_tolerance_passes():
    assert decide(baseline(*[1] * 100), records(*[1] * 98, *[0] * 2)).status == "passed"


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_so_few_cases_that_no_test_can_fail_are_decided_by_the_drop_alone(n):
    assert decide(baseline(*[1] * n), records(*[0] * n)).status == "failed"


def test_a_rise_is_worse_where_less_is_better():
    gate = Gate("s", max_rise=0.5)
    assert decide(baseline(*[1] * 20), records(*[2] * 20), gate=gate).status == "failed"
    assert decide(baseline(*[2] * 20), records(*[1] * 20), gate=gate).status == "passed"


def test_several_drops_share_the_risk_of_a_false_alarm():
    verdicts = [decide(baseline(*[1] * 50), records(*[1] * 45, *[0] * 5)) for _ in range(3)]
    assert [each.status for each in verdicts] == ["failed"] * 3  # each by itself, at p = 0.031
    assert [each.status for each in corrected(verdicts)] == ["inconclusive"] * 3
    assert "after Holm's correction for 3 gates" in corrected(verdicts)[0].reason


# Attempts at one row


def attempts(*rows):
    """Return a record for each attempt; each row is a list of the scores of its attempts."""
    return [
        replace(record, nodeid=f"{record.nodeid[:-1]}-{number}/{len(values)}]", scores={"s": RecordedScore(value)})
        for record, values in zip(records(*[0] * len(rows)), rows, strict=True)
        for number, value in enumerate(values, 1)
    ]


def test_a_row_that_flips_with_all_its_attempts_is_one_change():
    verdict = decide(baseline(*[1] * 20), attempts(*[[1] * 5] * 18, *[[0] * 5] * 2))

    assert (verdict.status, verdict.drop.n, verdict.drop.p_value) == ("inconclusive", 20, 0.25)  # not 2 ** -10
    assert "n=20 rows, 100 attempts, 2 worse, 0 better" in verdict.reason


def test_all_attempts_at_a_row_are_compared_not_the_last_alone():
    verdict = decide(baseline(*[0.8] * 10), attempts(*[[1, 1, 1, 1, 0]] * 10))

    assert (verdict.status, verdict.drop.lost) == ("passed", ())
    assert verdict.drop.after == pytest.approx(0.8)


def test_a_baseline_has_the_mean_of_the_attempts_at_a_case(tmp_path):
    path = Baselines(tmp_path).write(WHERE, attempts([1, 1, 0, 1], [0, 0, 0, 1]))

    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == [0.75, 0.25]
    assert Baselines(tmp_path).of(WHERE, "baseline").scores("s") == {"c0": 0.75, "c1": 0.25}


def test_a_baseline_with_a_line_for_each_attempt_counts_them_all(tmp_path):
    path = Baselines(tmp_path).write(WHERE, records(1))
    (line,) = path.read_text().splitlines()
    path.write_text("".join(line.replace('"value": 1', f'"value": {value}') + "\n" for value in (1, 1, 0, 0)))

    assert Baselines(tmp_path).of(WHERE, "baseline").scores("s") == {"c0": 0.5}


# What cannot be compared


@pytest.mark.parametrize(
    ("kind", "said"), [("row", "the dataset row of 3 cases, such as 'c0',"), ("metric", "the code of the test")]
)
def test_another_measure_is_not_comparable(kind, said):
    verdict = decide(baseline(1, 1, 1), records(1, 1, 1, hashes={**HASHES, kind: "other"}))
    assert verdict.status == "not evaluated"
    assert verdict.reason.startswith(f"not comparable: {said} has changed since main")


@pytest.mark.parametrize(("kind", "said"), [("program", "the program has changed"), ("lm", "the LM has changed")])
def test_another_program_or_lm_is_compared_and_noted(kind, said):
    verdict = decide(baseline(1, 1, 1), records(1, 1, 1, hashes={**HASHES, kind: "other"}))
    assert verdict.status == "passed"
    assert verdict.reason.endswith(said)


def test_cases_on_one_side_alone_are_noted():
    assert decide(baseline(1, 1, 1), records(1, 1)).reason.endswith("1 cases of the baseline are gone")
    assert decide(baseline(1, 1), records(1, 1, 1)).reason.endswith("1 cases are new")
    other = Baseline("main", lines={("s", "x"): Line("x", "s", 1, HASHES)})
    assert decide(other, records(1)).reason.startswith("not comparable: no case of main is among the 1 cases")


def test_a_file_is_sorted_and_reads_back(tmp_path):
    baselines = Baselines(tmp_path)
    path = baselines.write(WHERE, reversed(records(1, 0, 0.5)))
    assert path == tmp_path / "baselines" / "test_it" / "test_it.jsonl"
    assert [json.loads(line)["case"] for line in path.read_text().splitlines()] == ["c0", "c1", "c2"]
    assert baselines.of(WHERE, "baseline").scores("s") == {"c0": 1, "c1": 0, "c2": 0.5}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"case": "a", "score": "s", "value": "high"}',
        '{"case": "a", "score": "s", "value": NaN}',
        "[" * 100_000,
    ],
    ids=["cut", "list", "empty", "text", "NaN", "deep"],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, text):
    path = tmp_path / "baselines" / "test_it" / "test_it.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "line 1 of the baseline" in Baselines(tmp_path).of(WHERE, "baseline").problem


# In sessions

SUITE = """
    import json
    from pathlib import Path

    import pytest

    VALUES = json.loads(Path(__file__).with_name("values.json").read_text())

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", max_drop=0.02, vs="{vs}")
    def test_qa(example, score):
        score("accuracy", VALUES[int(example.id[1:])])
"""


@pytest.fixture
def suite(project):
    """Write a test whose values are outside of its code and its rows, as a program's answers are."""

    def write(*values, vs="baseline"):
        rows = [{"id": f"c{n}", "question": "?"} for n in range(len(values))]
        (project.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (project.path / "values.json").write_text(json.dumps(values))
        project.test(SUITE.format(vs=vs))

    return write


def test_a_damaged_baseline_fails_until_it_is_written_anew(project, suite, alone):
    suite(1, 1)
    assert alone("--dspex-update-baseline").ret == 0
    [path] = project.path.glob("baselines/*/*.jsonl")
    whole = path.read_text()
    path.write_text(whole[:-20])

    result = alone()

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate-accuracy* failed: line 2 of the baseline*is damaged*"])
    assert alone("-k", "c0").ret == 0  # a part of the cases decides nothing
    assert alone("--dspex-update-baseline").ret == 0
    assert path.read_text() == whole


def test_a_drop_against_the_written_baseline_is_red(suite, run):
    suite(*[1] * 20)
    result = run("--dspex-update-baseline")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["baselines written: *test_qa.jsonl; commit them"])
    suite(*[1] * 14, *[0] * 6)
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["accuracy 1 -> 0.7: drop 0.3 > 0.02, n=20, 6 worse, 0 better, p=0.01562, *"])


def test_another_code_of_the_test_is_not_comparable_and_other_gates_are(suite, alone, project):
    suite(1, 1, 1)
    assert alone("--dspex-update-baseline").ret == 0
    project.test(SUITE.format(vs="baseline").replace("0.02", "0.1"))
    assert alone("--dspex-not-evaluated=fail").ret == 0
    project.test(SUITE.format(vs="baseline").replace('score("accuracy", VALUES', 'score("accuracy", 1.0 * VALUES'))
    result = alone("-rs")
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: not comparable: the code of the test has changed since *"])


def test_another_metric_is_not_comparable(alone, project):
    def write(sign):
        project.test(
            f"""
            import pytest

            def same(one, other):
                return one {sign} other

            def right(example, prediction, trace=None):
                return same(prediction.answer, "Paris")

            @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics=[right])
            @pytest.mark.dspex_gate("right", max_drop=0.02)
            def test_qa(prediction):
                pass
            """
        )

    project.rows("a", "b", "c")
    write("==")
    assert alone("--dspex-live", "--dspex-update-baseline").ret == 0
    assert "not evaluated" not in alone("--dspex-live", "-rs").stdout.str()
    write("!=")
    result = alone("--dspex-live", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED *not comparable: the code of the test has changed * or that of a metric *"])


def test_without_a_baseline_the_gate_is_not_evaluated_which_fails_on_ci(suite, alone, monkeypatch):
    suite(1, 1)
    result = alone("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: there is no baseline at *"])
    monkeypatch.setenv("CI", "true")
    assert alone().ret == 1
    assert alone("--dspex-not-evaluated=pass").ret == 0


@pytest.mark.parametrize("part", ["-kc0", "test_it.py::test_qa[c0]", "--deselect=test_it.py::test_qa[c0]"])
def test_a_part_of_the_cases_is_no_baseline(suite, alone, project, part):
    suite(1, 1)
    result = alone("--dspex-update-baseline", part)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no baseline was written: test_it.py::test_qa ran 1 of its 2 cases*"])
    assert not (project.path / "baselines").exists()


@pytest.mark.parametrize("broken", ["'x'", "pytest.fail('no') or 1", "__import__('os')._exit(1)"])
def test_cases_that_fail_to_run_and_sessions_that_end_early_are_no_baseline(project, request, broken):
    project.rows("a", "b", "c")
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, score):
            score("accuracy", 1 if example.answer != "b" else {broken})
        """
    )
    run = request.getfixturevalue("on_two_workers" if "_exit" in broken else "alone")
    result = run("--dspex-update-baseline", *(["-x"] if "fail" in broken else []))
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no baseline was written: *"])
    assert not (project.path / "baselines").exists()


def test_the_baseline_of_another_revision_is_read_through_git(suite, alone, project):
    def git(*args):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *args], cwd=project.path, check=True, capture_output=True)

    suite(*[1] * 20, vs="git:start")
    git("init", "-q")
    assert alone("--dspex-update-baseline").ret == 0
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    git("branch", "start")
    suite(*[0] * 20, vs="git:start")
    result = alone()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["accuracy 1 -> 0: drop 1 > 0.02, *"])
    suite(*[0] * 20, vs="git:nowhere")
    result = alone("-rs")
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: git has no baseline of 'nowhere': *"])
