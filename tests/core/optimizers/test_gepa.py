"""GEPA: on landscapes where the feedback says which rule the instruction lacks."""

import os
import re
import subprocess
import sys

import pytest

import dspex_core
from dspex_core import Budget, ConfigurationError, OptimizationError, context
from dspex_core.example import Example, Prediction
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.metrics.score import Score
from dspex_core.optimizers.fingerprint import metric_data
from dspex_core.optimizers.gepa.optimizer import GEPA
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict

ROWS = [Example(text=f"text {number}", label=f"label {number % 8}").with_inputs("text") for number in range(32)]
TRAIN, VAL = ROWS[:16], ROWS[16:]
OLD = Predict("text -> label").signature.instructions


class Pipeline(Module):
    """Two steps; rules in the instruction of either make some labels right."""

    def __init__(self):
        self.first = Predict("text -> note")
        self.second = Predict("text, note -> label")

    def forward(self, text):
        return self.second(text=text, note=self.first(text=text).note)


def rules_in(text):
    return sorted(set(re.findall(r"rule \d", text)))


def answer(request):
    """Follow the rules of the instruction; asked to reflect, write those that it and the feedback have."""
    system, last = request.messages[0].text, request.messages[-1].text
    if "new_instruction" in system:
        return {"new_instruction": f"Follow {', '.join(rules_in(last))}."}
    number = int(re.findall(r"text (\d+)", last)[0]) % 8
    knows = f"rule {number}" in rules_in(system)
    if "[[ ## label ## ]]" not in system:
        return {"note": "sure" if knows else "unsure"}
    is_right = knows if number < 5 else "note ## ]]\nsure" in last
    return {"label": f"label {number}" if is_right else "wrong"}


def forgetful(request):
    """As `answer`, but an instruction has room for two rules only: so no candidate is best on each row."""
    system, last = request.messages[0].text, request.messages[-1].text
    if "new_instruction" not in system:
        return answer(request)
    old, examples = last.split("[[ ## examples ## ]]")
    known = list(dict.fromkeys(re.findall(r"rule \d", old)))
    new = [rule for rule in rules_in(examples) if rule not in known][:1]
    return {"new_instruction": f"Follow {', '.join([*known, *new][-2:])}."}


def merging(**options):
    by = GEPA(metric, max_metric_calls=300, track_stats=True, **options)
    return compiled(model=ScriptedLM(forgetful), by=by)


def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
    """Say which rule the predictor lacks."""
    number = int(gold.label[-1])
    at_fault = "second" if number < 5 else "first"
    lacks = gold.label != pred.label and pred_name in (None, at_fault, "self")
    return Score(float(gold.label == pred.label), f"rule {number}" if lacks else "fine")


def compiled(*, model=None, by=None, student=None, threads=8, **given):
    with context(lm=model or ScriptedLM(answer), num_threads=threads):
        optimizer = by or GEPA(metric, max_metric_calls=200)
        return optimizer.compile(student or Pipeline(), **{"trainset": TRAIN, "valset": VAL, **given})


def rules(program):
    return {path: rules_in(predictor.signature.instructions) for path, predictor in program.named_predictors()}


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


class TestTheSearch:
    def test_writes_into_each_instruction_what_the_feedback_teaches(self):
        program = compiled()

        assert program.trials.best.score > program.trials[0].score + 0.5
        assert program.trials[0].name == "the program's own instructions"
        assert {"rule 5", "rule 6", "rule 7"} & set(rules(program)["first"])
        assert {"rule 0", "rule 1", "rule 2"} & set(rules(program)["second"])

    @pytest.mark.parametrize("threads", [1, 8])
    def test_is_decided_by_its_seed(self, threads):
        one, other = compiled(threads=threads), compiled()

        assert one.dump_state() == other.dump_state()
        assert [trial.choices for trial in one.trials] == [trial.choices for trial in other.trials]
        assert [trial.choices for trial in compiled(seed=1).trials] != [trial.choices for trial in one.trials]

    def test_keeps_demos_and_changes_neither_student_nor_rows(self):
        student = Pipeline()
        student.second.demos = [{"text": "t", "note": "n", "label": "l"}]
        before, rows = student.dump_state(), repr(ROWS)

        program = compiled(student=student)

        assert program.second.demos == student.second.demos
        assert (student.dump_state(), repr(ROWS)) == (before, rows)

    def test_merges_candidates_that_have_improved_different_predictors(self):
        merged, unmerged = merging().detailed_results, merging(use_merge=False).detailed_results

        assert any(len(parents) == 2 for parents in merged.parents)
        assert all(len(parents) == 1 for parents in unmerged.parents)

    def test_ends_where_a_candidate_is_perfect_on_the_valset(self):
        model = ScriptedLM(answer)

        program = compiled(model=model, by=GEPA(metric, max_metric_calls=10_000))

        assert program.trials.best.score == 1
        assert program.trials.stopped == "a candidate is perfect on the whole valset"
        assert len(model.history) < 2000

    def test_runs_each_row_of_the_valset_once_for_a_candidate(self):
        program = merging()

        assert len({tuple(trial.choices.items()) for trial in program.trials}) == len(program.trials)
        assert all(trial.spent.calls == 2 * len(VAL) for trial in program.trials)

    def test_is_the_same_in_every_process(self):
        code = (
            "import test_gepa\n"
            "found = test_gepa.merging().detailed_results\n"
            "print(found.parents, found.to_dict()['candidates'])"
        )

        said = {
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=__file__.rpartition("/")[0],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2")
        }

        assert len(said) == 1


class TestTheMetric:
    def test_may_return_a_prediction_with_feedback(self):
        def as_prediction(gold, pred, trace, pred_name, pred_trace):
            score = metric(gold, pred, trace, pred_name, pred_trace)
            return Prediction(score=score.value, feedback=score.feedback)

        plain, other = compiled(), compiled(by=GEPA(as_prediction, max_metric_calls=200))

        assert other.dump_state() == plain.dump_state()

    def test_is_given_the_call_of_the_predictor(self):
        seen = []

        def looking(gold, pred, trace=None, pred_name=None, pred_trace=None):
            if pred_name is not None:
                seen.append((pred_name, [name for name in ("note", "label") if name in pred_trace[0][2]], len(trace)))
            return metric(gold, pred, trace, pred_name, pred_trace)

        compiled(by=GEPA(looking, max_metric_calls=40))

        assert {name for name, _, _ in seen} == {"first", "second"}
        assert all(calls == 2 for _, _, calls in seen)
        assert all(fields == (["note"] if name == "first" else ["label"]) for name, fields, _ in seen)

    def test_without_feedback_works_with_one_warning(self, caplog):
        model = ScriptedLM(answer)

        compiled(model=model, by=GEPA(lambda gold, pred: gold.label == pred.label, max_metric_calls=60))

        assert sum("gives no feedback" in record.message for record in caplog.records) == 1
        assert any("Score: 0." in entry.request.messages[-1].text for entry in model.history)

    def test_of_ours_gives_its_own_feedback(self):
        model = ScriptedLM(answer)

        compiled(model=model, by=GEPA(exact_match("label"), max_metric_calls=40))

        asked = [entry.request for entry in model.history if "new_instruction" in entry.request.messages[0].text]
        assert any("'label 1'" in request.messages[-1].text for request in asked)

    def test_that_scores_a_predictor_otherwise_is_warned_of_once(self, caplog):
        def other(gold, pred, trace=None, pred_name=None, pred_trace=None):
            return Score(0.5 if pred_name else 0.0, "rule 1")

        compiled(by=GEPA(other, max_metric_calls=60))
        assert sum("another score" in record.message for record in caplog.records) == 1
        caplog.clear()

        compiled(by=GEPA(other, max_metric_calls=60, warn_on_score_mismatch=False))
        assert "another score" not in caplog.text

    def test_that_raises_on_each_example_is_one_error(self):
        def broken(gold, pred, trace=None, pred_name=None, pred_trace=None):
            raise LookupError("no such thing")

        with pytest.raises(OptimizationError, match="the metric raised on each of 16 examples"):
            compiled(by=GEPA(broken, max_metric_calls=60))


class TestReflection:
    def test_is_done_by_its_own_lm(self):
        task, thinker = ScriptedLM(answer), ScriptedLM(answer)

        compiled(model=task, by=GEPA(metric, max_metric_calls=60, reflection_lm=thinker))

        assert thinker.history
        assert all("new_instruction" in entry.request.messages[0].text for entry in thinker.history)
        assert not any("new_instruction" in entry.request.messages[0].text for entry in task.history)

    @pytest.mark.parametrize("reply", [{"new_instruction": ""}, "no format at all", {"new_instruction": OLD}])
    def test_that_writes_nothing_ends_early_with_the_old_instructions(self, reply, caplog):
        thinker = ScriptedLM(lambda request: reply)
        student = Predict("text -> label")

        by = GEPA(metric, max_metric_calls=10_000, reflection_lm=thinker)
        program = compiled(student=student, by=by)

        assert program.dump_state() == student.dump_state()
        assert "5 reflections wrote no instruction" in program.trials.stopped
        assert sum("goes on with the old instruction" in record.message for record in caplog.records) == 1

    def test_by_a_proposer_of_the_users_own(self):
        calls = []

        def proposer(candidate, reflective_dataset, components_to_update):
            calls.append(
                (sorted(candidate), components_to_update, sorted(reflective_dataset[components_to_update[0]][0]))
            )
            return {path: f"{candidate[path]} rule {len(calls) % 8}" for path in components_to_update}

        program = compiled(by=GEPA(metric, max_metric_calls=120, instruction_proposer=proposer))

        assert calls[0] == (["first", "second"], ["first"], ["Feedback", "Generated Outputs", "Inputs"])
        assert program.trials.best.score > program.trials[0].score

    def test_by_a_proposer_that_raises_keeps_the_old_instructions(self, caplog):
        def proposer(candidate, reflective_dataset, components_to_update):
            raise LookupError("nothing there")

        program = compiled(by=GEPA(metric, max_metric_calls=100, instruction_proposer=proposer))

        assert program.dump_state() == Pipeline().dump_state()
        assert "the instruction_proposer raised LookupError: nothing there" in caplog.text

    @pytest.mark.parametrize("selector", ["all", lambda state, trajectories, scores, index, candidate: list(candidate)])
    def test_of_all_predictors_at_once(self, selector):
        program = compiled(by=GEPA(metric, max_metric_calls=60, component_selector=selector))

        assert rules(program.trials[1].program).keys() == {"first", "second"}
        assert all(each.startswith("Follow") for each in program.trials[1].choices.values())

    def test_of_a_predictor_that_is_not_there_is_an_error(self):
        by = GEPA(metric, max_metric_calls=60, component_selector=lambda *_: ["third"])

        with pytest.raises(ValueError, match=r"component_selector chose \['third'\]; there are first, second"):
            compiled(by=by)

    def test_sees_replies_that_could_not_be_read_where_asked(self):
        def garbled(request):
            system, last = request.messages[0].text, request.messages[-1].text
            if "new_instruction" in system:
                return {"new_instruction": "Answer in the format."}
            return "no format at all" if "text 1" in last else {"label": "wrong"}

        model = ScriptedLM(garbled)
        by = GEPA(metric, max_metric_calls=60, add_format_failure_as_feedback=True)
        compiled(model=model, by=by, student=Predict("text -> label"))

        asked = [entry.request for entry in model.history if "new_instruction" in entry.request.messages[0].text]
        assert any("could not be read" in each.messages[-1].text for each in asked)


class TestDetailedResults:
    def test_have_each_candidate_with_its_scores(self):
        program = compiled(by=GEPA(metric, max_metric_calls=200, track_stats=True, track_best_outputs=True))

        found = program.detailed_results
        assert found.best_candidate.dump_state() == program.dump_state()
        assert found.val_aggregate_scores == [trial.score for trial in program.trials]
        assert [set(each) for each in found.val_subscores] == [set(range(len(VAL)))] * len(program.trials)
        assert found.parents[:2] == [[None], [0]]
        assert found.to_dict()["candidates"] == [trial.choices for trial in program.trials]
        assert found.to_dict()["best_idx"] == found.best_idx
        assert set(found.best_outputs_valset) == set(range(len(VAL)))
        assert found.highest_score_achieved_per_val_task.keys() == set(range(len(VAL)))

    def test_are_no_part_of_the_program(self, tmp_path):
        program = compiled(by=GEPA(metric, max_metric_calls=60, track_stats=True))

        assert list(dict(program.named_predictors())) == ["first", "second"]
        assert program.deepcopy().detailed_results is program.detailed_results
        program.save(tmp_path / "program.json")
        again = Pipeline()
        again.load(tmp_path / "program.json")
        assert rules(again) == rules(program)

    def test_are_there_where_the_budget_ended_it(self):
        program = compiled(by=GEPA(metric, max_metric_calls=600, track_stats=True), budget=Budget(calls=150))

        assert len(program.detailed_results.candidates) >= len(program.trials) - 1
        assert "150 of 150 calls were spent" in program.trials.stopped


class TestABudgetAndAJournal:
    @pytest.mark.parametrize("calls", [40, 77, 130])
    def test_the_budget_is_kept_and_the_best_so_far_returned(self, calls):
        model = ScriptedLM(answer)

        program = compiled(model=model, budget=Budget(calls=calls))

        assert len(model.history) <= calls
        assert program.dump_state() == program.trials.best.program.dump_state()

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
    def test_goes_on_without_asking_anything_again(self, tmp_path, part):
        path, first, second = tmp_path / "journal", ScriptedLM(answer), ScriptedLM(answer)
        whole = compiled(model=first, journal=path)
        kept = lines(path)[: int(part * len(lines(path)))]
        path.write_bytes(b"".join(kept) + b'{"cal')

        resumed = compiled(model=second, journal=path)

        finished = sum(b'"call":' in line for line in kept)
        assert resumed.dump_state() == whole.dump_state()
        assert sum(not entry.response.cached for entry in second.history) == len(first.history) - finished

    def test_log_dir_is_where_the_journal_is(self, tmp_path):
        first, second = ScriptedLM(answer), ScriptedLM(answer)
        by = GEPA(metric, max_metric_calls=60, log_dir=tmp_path / "logs", track_stats=True)

        one, other = compiled(model=first, by=by), compiled(model=second, by=by)

        assert one.dump_state() == other.dump_state()
        assert all(entry.response.cached for entry in second.history)
        assert [path.name for path in (tmp_path / "logs").iterdir()] == ["journal.jsonl"]
        assert one.detailed_results.log_dir == str(tmp_path / "logs")


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "exactly one of auto, max_full_evals, max_metric_calls, not none of them"),
            ({"auto": "light", "max_full_evals": 2}, "exactly one of"),
            ({"auto": "huge"}, "auto must be one of light, medium, heavy, not 'huge'"),
            ({"auto": "light", "track_best_outputs": True}, "needs track_stats=True"),
            ({"auto": "light", "gepa_kwargs": {"run_dir": "x"}}, "gepa_kwargs cannot have run_dir"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ConfigurationError, match=message):
            GEPA(metric, **options)

    def test_a_teacher(self):
        with pytest.raises(OptimizationError, match="it takes no teacher"):
            compiled(teacher=Pipeline())

    def test_a_program_that_fails_on_each_example(self):
        class Broken(Pipeline):
            def forward(self, text):
                raise LookupError(text)

        with pytest.raises(OptimizationError, match="the program failed on each of 16 examples"):
            compiled(student=Broken())

    def test_a_missing_library_before_any_call(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "gepa", None)
        model = ScriptedLM(answer)

        with pytest.raises(ConfigurationError, match=r"pip install 'pytest-dspex\[optimize\]'"):
            compiled(model=model)

        assert not model.history


def test_writes_nothing_to_the_terminal_and_no_file(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    compiled(by=GEPA(metric, max_metric_calls=80))

    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_without_a_valset_keeps_a_part_of_the_trainset(caplog):
    program = compiled(trainset=ROWS, valset=None)

    assert program.trials[0].total == len(ROWS) // 2
    assert "no valset was given" in caplog.text


def test_plans_what_it_may_take():
    model = ScriptedLM(answer)
    with context(lm=model):
        plan = GEPA(metric, max_metric_calls=100).plan(Pipeline(), TRAIN, VAL)

    compiled(model=model, by=GEPA(metric, max_metric_calls=100))

    assert len(model.history) <= plan.calls


def test_its_options_show_no_key(tmp_path):
    by = GEPA(metric, max_metric_calls=20, wandb_api_key="planted-key", wandb_init_kwargs={"api_key": "planted-key"})

    compiled(by=by, journal=tmp_path / "journal")

    assert "planted-key" not in repr(by) + (tmp_path / "journal").read_text()


def test_a_metric_that_closes_over_a_module_is_described_by_its_name():
    def closed_over(library):
        return lambda gold, pred, trace=None, pred_name=None, pred_trace=None: library.Score(0.0, "rule 1")

    described = metric_data(closed_over(dspex_core))

    assert len(str(described)) < 5000
