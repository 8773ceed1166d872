import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import optimizers
from dspex_core.config import context
from dspex_core.errors import ArtifactError, EvaluationError, LMServerError, OptimizationError
from dspex_core.example import Example, Prediction
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers import (
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    BootstrapRS,
    KNNFewShot,
    LabeledFewShot,
    Optimizer,
    Teleprompter,
)
from dspex_core.programs.base import Module
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.predict import Predict

TEXTS = [
    "my card was stolen on the train",
    "the machine swallowed my card",
    "please send a new card to my home",
    "what is the exchange rate for euros",
    "which currencies can I exchange",
    "the transfer to my friend is still pending",
    "why was my transfer declined",
    "close my account today",
]
LABELS = {text: f"label-{number}" for number, text in enumerate(TEXTS)}
CORRECT = exact_match("label")


def rows(texts=TEXTS):
    return [
        Example(text=text, label=LABELS[text], id=f"row-{text}", note="no field").with_inputs("text") for text in texts
    ]


def asked(request):
    return text_of(request.messages[-1])


def text_of(message):
    return re.search(r"\[\[ ## text ## \]\]\n(.*)", message.content)[1]


def shown(request):
    """Return the texts of the demos in a request, in their order."""
    return [text_of(message) for message in request.messages[1:-1] if message.role == "user"]


def right(request):
    return {"label": LABELS[asked(request)], "reasoning": f"because of {asked(request)}"}


def wrong(request):
    return {"label": "wrong", "reasoning": "none"}


def broken(request):
    return LMServerError("the server is down")


def requests(lm):
    return [entry.request for entry in lm.history]


def texts(predictor):
    return [demo["text"] for demo in predictor.demos]


class Pipeline(Module):
    """Two steps; the examples have labels for the second one's output only."""

    def __init__(self):
        self.rewrite = Predict("text -> summary")
        self.classify = Predict("summary, text -> label")

    def forward(self, text):
        return self.classify(summary=self.rewrite(text=text).summary, text=text)


class Repeats(Module):
    """Calls one predictor several times."""

    def __init__(self):
        self.step = Predict("text, turn: int -> label")

    def forward(self, text):
        return [self.step(text=text, turn=turn) for turn in range(3)][-1]


def pipeline_reply(request):
    return {"summary": f"summary of {asked(request)}", **right(request)}


ALL = [
    LabeledFewShot(k=2),
    BootstrapFewShot(CORRECT),
    BootstrapFewShotWithRandomSearch(CORRECT, num_candidate_programs=1),
    KNNFewShot(2),
    KNNFewShot(2, metric=CORRECT),
]
CALLING = [optimizer for optimizer in ALL if optimizer.metric is not None]


class TestEveryOptimizer:
    @pytest.fixture(params=ALL, ids=repr)
    def optimizer(self, request):
        return request.param

    def test_returns_a_new_program_and_changes_nothing_else(self, optimizer):
        student, teacher, trainset = ChainOfThought("text -> label"), ChainOfThought("text -> label"), rows()
        teacher.predict.demos = [{"text": "t", "reasoning": "r", "label": "l"}]
        before = student.dump_state(), teacher.dump_state(), repr(optimizer), repr(trainset)

        with context(lm=ScriptedLM(right)):
            program = optimizer.compile(student, trainset=trainset, valset=trainset[:2], teacher=teacher)

        assert program is not student
        assert isinstance(program, ChainOfThought)
        assert (student.dump_state(), teacher.dump_state(), repr(optimizer), repr(trainset)) == before

    @pytest.mark.parametrize("optimizer", CALLING, ids=repr)
    def test_changes_nothing_when_it_fails(self, optimizer):
        student, teacher = Predict("text -> label"), Predict("text -> label")
        teacher.demos = rows()
        before = student.dump_state(), teacher.dump_state(), repr(optimizer)

        with context(lm=ScriptedLM(broken), max_errors=1), pytest.raises((LMServerError, EvaluationError)):
            optimizer.compile(student, trainset=rows(), valset=rows(), teacher=teacher)

        assert (student.dump_state(), teacher.dump_state(), repr(optimizer)) == before

    def test_keeps_the_lm_of_the_student_and_drops_its_demos(self, optimizer):
        student = Predict("text -> label")
        student.set_lm(ScriptedLM(right))
        student.demos = [{"text": "mine", "label": "mine"}]

        program = optimizer.compile(student, trainset=rows(), valset=rows())

        assert program.lm is student.lm
        assert "mine" not in texts(program)

    @pytest.mark.parametrize(
        ("trainset", "reason"),
        [
            ([], "the trainset is empty"),
            ([{"text": "a"}], "row 1 of the trainset is not an Example but {'text': 'a'}"),
        ],
    )
    def test_refuses_a_trainset_that_cannot_be_used(self, optimizer, trainset, reason):
        with pytest.raises(OptimizationError, match=reason) as caught:
            optimizer.compile(Predict("text -> label"), trainset=trainset, valset=rows())

        assert caught.value.optimizer == type(optimizer).__name__
        assert caught.value.trainset_size == len(trainset)

    def test_needs_the_inputs_named_where_it_runs_examples(self, optimizer):
        trainset = [*rows()[:1], Example(text="a", label="b")]
        if isinstance(optimizer, LabeledFewShot):
            assert len(optimizer.compile(Predict("text -> label"), trainset=trainset).demos) == 2
            return
        with pytest.raises(OptimizationError, match="the inputs of row 2 of the trainset are not known"):
            optimizer.compile(Predict("text -> label"), trainset=trainset, valset=rows())

    def test_a_student_without_predictors_is_left_as_it_is(self, optimizer, caplog):
        class Plain(Module):
            def forward(self, text):
                return Prediction(label=LABELS[text])

        assert type(optimizer.compile(Plain(), trainset=rows(), valset=rows())) is Plain
        assert "has no predictor" in caplog.text

    def test_makes_demos_with_the_fields_of_the_signature_that_read_as_dicts(self, optimizer):
        with context(lm=ScriptedLM(right)):
            program = optimizer.compile(Predict("text -> label"), trainset=rows(), valset=rows())

        for demo in program.demos:
            assert list(dict(demo)) == ["text", "label"]
            assert demo["label"] == demo.label == LABELS[demo["text"]]

    def test_compiles_to_what_can_be_saved_and_loaded(self, optimizer, tmp_path):
        with context(lm=ScriptedLM(right)):
            program = optimizer.compile(ChainOfThought("text -> label"), trainset=rows(), valset=rows())
        program.save(tmp_path / "program.json")
        loaded = ChainOfThought("text -> label")
        loaded.load(tmp_path / "program.json")
        first, second = ScriptedLM(right), ScriptedLM(right)

        for lm, each in ((first, program), (second, loaded)):
            with context(lm=lm):
                each(text=TEXTS[3])

        assert loaded.dump_state() == program.dump_state()
        assert requests(first) == requests(second)

    def test_tells_listeners_of_the_whole_run(self, optimizer):
        events, student = [], Predict("text -> label")

        with context(lm=ScriptedLM(right), listeners=(events.append,)):
            program = optimizer.compile(student, trainset=rows(), valset=rows())

        start, stop = events[0], events[-1]
        assert (start.name, stop.name) == ("dspex.optimize.start", "dspex.optimize.stop")
        assert start.attributes["instance"] is optimizer
        assert start.attributes["inputs"]["student"] is student
        assert len(start.attributes["inputs"]["trainset"]) == len(TEXTS)
        assert stop.attributes["result"] is program

    def test_shows_its_options_in_its_repr(self, optimizer):
        assert re.fullmatch(rf"{type(optimizer).__name__}\(\w+=.*\)", repr(optimizer))
        assert "None" not in repr(optimizer)


def test_a_metric_function_is_shown_by_its_name():
    def accuracy(example, prediction, trace=None):
        return True

    assert repr(LabeledFewShot(k=3, seed=1)) == "LabeledFewShot(k=3, seed=1)"
    assert repr(BootstrapFewShot(accuracy)).startswith("BootstrapFewShot(metric=accuracy, ")


def test_the_package_exports_each_name_once_and_dspys_aliases():
    assert len(optimizers.__all__) == len(set(optimizers.__all__))
    assert Teleprompter is Optimizer
    assert BootstrapRS is BootstrapFewShotWithRandomSearch


def test_a_custom_optimizer_needs_compile_only():
    class Renames(Optimizer):
        metric = None

        def compile(self, student, *, trainset, valset=None, teacher=None):
            with self.compiling(student, trainset):
                program = student.deepcopy()
                program.signature = program.signature.with_instructions("Say the label.")
            return program

    assert Renames().compile(Predict("text -> label"), trainset=rows()).signature.instructions == "Say the label."
    assert repr(Renames()) == "Renames()"


class TestLabeledFewShot:
    @given(seed=st.integers(), k=st.integers(1, 12))
    def test_draws_k_different_examples_in_the_same_way_for_a_seed(self, seed, k):
        student = Predict("text -> label")

        first, second = (LabeledFewShot(k, seed=seed).compile(student, trainset=rows()) for _ in range(2))

        assert first.demos == second.demos
        assert len(set(texts(first))) == len(first.demos) == min(k, len(TEXTS))

    def test_draws_otherwise_for_another_seed(self):
        programs = [LabeledFewShot(seed=seed).compile(Predict("text -> label"), trainset=rows()) for seed in range(5)]

        assert len({tuple(texts(program)) for program in programs}) == 5

    def test_takes_the_first_k_when_it_does_not_sample(self):
        program = LabeledFewShot(k=3).compile(Predict("text -> label"), trainset=rows(), sample=False)

        assert texts(program) == TEXTS[:3]

    def test_gives_a_predictor_no_demo_that_lacks_all_its_inputs_or_all_its_outputs(self):
        program = LabeledFewShot().compile(Pipeline(), trainset=rows())

        assert program.rewrite.demos == ()
        assert sorted(texts(program.classify)) == sorted(TEXTS)

    def test_takes_examples_of_a_signature_without_inputs(self):
        trainset = [Example(topic="cats", joke="meow").with_inputs("topic")]

        program = LabeledFewShot().compile(Predict(" -> joke"), trainset=trainset)

        assert program.demos == ({"joke": "meow"},)

    @pytest.mark.parametrize("optimizer", [LabeledFewShot(k=0), KNNFewShot(k=0)], ids=repr)
    def test_refuses_a_k_below_one(self, optimizer):
        with pytest.raises(OptimizationError, match="k must be at least 1, not 0") as caught:
            optimizer.compile(Predict("text -> label"), trainset=rows())

        assert caught.value.trainset_size == len(TEXTS)


class TestBootstrapFewShot:
    def compile(self, script, *, student=None, trainset=None, teacher=None, **options):
        """Return the compiled program and the LM with its history."""
        lm = ScriptedLM(script)
        options = {"metric": CORRECT, **options}
        with context(lm=lm):
            program = BootstrapFewShot(**options).compile(
                student or Predict("text -> label"), trainset=trainset or rows(), teacher=teacher
            )
        return program, lm

    def test_takes_the_first_accepted_examples_and_then_stops(self):
        def every_other(request):
            return right(request) if TEXTS.index(asked(request)) % 2 else wrong(request)

        program, lm = self.compile(every_other, max_bootstrapped_demos=2, max_labeled_demos=0)

        assert texts(program) == [TEXTS[1], TEXTS[3]]
        assert [asked(request) for request in requests(lm)] == TEXTS[:4]

    def test_keeps_what_the_teacher_wrote_for_every_step(self):
        program, _ = self.compile(pipeline_reply, student=Pipeline(), max_bootstrapped_demos=1, max_labeled_demos=0)

        summary = f"summary of {TEXTS[0]}"
        assert program.rewrite.demos == ({"text": TEXTS[0], "summary": summary},)
        assert program.classify.demos == ({"summary": summary, "text": TEXTS[0], "label": LABELS[TEXTS[0]]},)

    @pytest.mark.parametrize("most", [5, len(TEXTS), 16])
    def test_fills_up_with_labeled_examples_that_were_not_bootstrapped(self, most):
        program, _ = self.compile(
            right, student=ChainOfThought("text -> label"), max_bootstrapped_demos=2, max_labeled_demos=most
        )

        size = min(most, len(TEXTS))
        assert ["reasoning" in demo for demo in program.predict.demos] == [True, True, *[False] * (size - 2)]
        assert len(set(texts(program.predict))) == size

    def test_asks_no_lm_when_no_demo_is_to_be_bootstrapped(self):
        program, lm = self.compile(broken, max_bootstrapped_demos=0, max_labeled_demos=3)

        assert len(program.demos) == 3
        assert not lm.history

    def test_never_shows_the_teacher_the_example_it_is_asked(self):
        doubled = rows([*TEXTS, TEXTS[0]])

        _, lm = self.compile(right, trainset=doubled, max_bootstrapped_demos=len(doubled))

        for request in requests(lm):
            assert Counter(shown(request)) == Counter([*TEXTS, TEXTS[0]]) - Counter({asked(request): 2})

    def test_leaves_bootstrapped_demos_of_the_example_out_too(self):
        teacher = ChainOfThought("text -> label")
        teacher.predict.demos = [{"text": text, "reasoning": "mine", "label": "mine"} for text in TEXTS[:2]]

        _, lm = self.compile(right, student=ChainOfThought("text -> label"), teacher=teacher, max_bootstrapped_demos=3)

        assert [shown(request) for request in requests(lm)] == [[TEXTS[1]], [TEXTS[0]], TEXTS[:2]]

    def test_is_the_same_for_the_same_seed_and_another_for_another(self):
        programs = [self.compile(right, seed=seed)[0] for seed in (0, 0, 1)]

        assert programs[0].demos == programs[1].demos
        assert programs[0].demos != programs[2].demos

    def test_accepts_everything_without_a_metric(self):
        program, _ = self.compile(wrong, metric=None, max_bootstrapped_demos=2, max_labeled_demos=0)

        assert [demo["label"] for demo in program.demos] == ["wrong", "wrong"]

    @pytest.mark.parametrize(("threshold", "accepted"), [(None, [1, 2, 3]), (0.0, [0, 1, 2, 3]), (2.0, [2, 3])])
    def test_accepts_from_the_threshold_on(self, threshold, accepted):
        def metric(example, prediction, trace=None):
            return TEXTS.index(example.text)

        program, _ = self.compile(
            right, trainset=rows(TEXTS[:4]), metric=metric, metric_threshold=threshold, max_labeled_demos=0
        )

        assert texts(program) == [TEXTS[number] for number in accepted]

    def test_gives_the_metric_the_trace_of_the_example(self):
        traces = []

        async def metric(example, prediction, trace=None):
            traces.append([(predictor.signature.signature, inputs["text"]) for predictor, inputs, _ in trace])
            return True

        self.compile(pipeline_reply, student=Pipeline(), metric=metric, max_bootstrapped_demos=2)

        assert traces == [[("text -> summary", text), ("summary, text -> label", text)] for text in TEXTS[:2]]

    def test_a_judge_that_is_a_program_leaves_no_steps_in_the_trace(self):
        judge = Predict("text, answer -> label")
        lengths = []

        def metric(example, prediction, trace=None):
            judge(text=example.text, answer=prediction.label)
            lengths.append(len(trace))
            return True

        self.compile(right, metric=metric, max_bootstrapped_demos=2)

        assert lengths == [1, 1]

    def test_tries_again_at_temperature_one_as_another_rollout(self):
        def third_time(request):
            return right(request) if request.rollout_id == 2 else wrong(request)

        program, lm = self.compile(
            third_time, max_rounds=3, max_bootstrapped_demos=2, max_labeled_demos=0, student=Predict("text -> label")
        )

        assert texts(program) == TEXTS[:2]
        assert program.config == {}
        tries = [(asked(request), request.rollout_id, request.config.get("temperature")) for request in requests(lm)]
        assert tries == [
            (text, *each) for text in TEXTS[:2] for each in [(None, None), (1, 1.0), (2, 1.0)]
        ]  # fmt: skip

    def test_does_not_try_an_accepted_example_again(self):
        _, lm = self.compile(right, max_rounds=3, max_bootstrapped_demos=len(TEXTS))

        assert [asked(request) for request in requests(lm)] == TEXTS

    def test_makes_one_demo_of_a_predictor_that_ran_several_times(self):
        program, _ = self.compile(right, student=Repeats(), max_bootstrapped_demos=len(TEXTS), max_labeled_demos=0)

        assert texts(program.step) == TEXTS
        assert len({demo["turn"] for demo in program.step.demos}) > 1

    def test_ignores_steps_of_predictors_that_are_not_in_the_program(self):
        class Improvises(Module):
            def __init__(self):
                self.step = Predict("text -> label")

            def forward(self, text):
                Predict("text -> summary")(text=text)
                return self.step(text=text)

        program, _ = self.compile(pipeline_reply, student=Improvises(), max_bootstrapped_demos=1, max_labeled_demos=0)

        assert program.step.demos == ({"text": TEXTS[0], "label": LABELS[TEXTS[0]]},)

    def test_runs_the_teacher_under_its_settings(self):
        able, student = ScriptedLM(right), Predict("text -> label")
        student.set_lm(ScriptedLM(wrong))

        program, _ = self.compile(wrong, student=student, teacher_settings={"lm": able}, max_labeled_demos=0)

        assert texts(program) == TEXTS[:4]
        assert program.lm is student.lm
        assert not student.lm.history

    def test_refuses_a_teacher_with_other_predictors(self):
        with pytest.raises(OptimizationError, match="the teacher must have the student's predictors"):
            self.compile(right, teacher=ChainOfThought("text -> label"))

    def test_goes_on_after_errors_and_logs_them(self, caplog):
        def at_first_broken(request):
            return broken(request) if asked(request) == TEXTS[0] else right(request)

        program, _ = self.compile(at_first_broken, max_errors=1, max_bootstrapped_demos=2, max_labeled_demos=0)

        assert texts(program) == TEXTS[1:3]
        assert TEXTS[0] in caplog.text
        assert "the server is down" in caplog.text

    @pytest.mark.parametrize("options", [{"max_errors": 2}, {}])
    def test_gives_up_after_too_many_errors(self, options):
        lm = ScriptedLM(lambda request: broken(request) if asked(request) != TEXTS[0] else right(request))

        with context(lm=lm, max_errors=2), pytest.raises(LMServerError) as caught:
            BootstrapFewShot(CORRECT, **options).compile(Predict("text -> label"), trainset=rows())

        failure = caught.value.__cause__
        assert isinstance(failure, OptimizationError)
        assert "3 of 4 tries raised" in str(failure)
        assert failure.trainset_size == len(TEXTS)

    def test_gives_up_when_every_try_raised_however_few(self):
        with pytest.raises(OptimizationError, match="1 of 1 tries raised") as caught:
            self.compile(broken, trainset=rows(TEXTS[:1]))

        assert isinstance(caught.value.__cause__, LMServerError)

    def test_counts_errors_of_the_metric(self):
        def metric(example, prediction, trace=None):
            return prediction.sentiment == example.label

        with pytest.raises(OptimizationError, match="has no field 'sentiment'"):
            self.compile(right, metric=metric)


class TestRandomSearch:
    VALSET = (Example(text="held out", label="yes").with_inputs("text"),)

    def search(self, script, *, valset=VALSET, **options):
        """Return the compiled program and the events."""
        events = []
        options = {"num_candidate_programs": 8, "max_bootstrapped_demos": 3, **options}
        with context(lm=ScriptedLM(script), listeners=(events.append,)):
            program = BootstrapFewShotWithRandomSearch(CORRECT, **options).compile(
                Predict("text -> label"), trainset=rows(), valset=valset
            )
        return program, events

    def candidates(self, events):
        return [event.attributes for event in events if event.name == "dspex.candidate.stop"]

    @staticmethod
    def right_after(wanted):
        """Answer the valset rightly only when the demos shown are as wanted."""

        def reply(request):
            if asked(request) in LABELS:
                return right(request)
            return {"label": "yes" if wanted(shown(request)) else "no"}

        return reply

    def test_returns_the_candidate_that_scores_best_on_the_valset(self):
        program, events = self.search(self.right_after(lambda demos: demos[:1] == [TEXTS[5]]), max_labeled_demos=4)

        scores = [candidate["score"] for candidate in self.candidates(events)]
        assert texts(program)[0] == TEXTS[5]
        assert program is self.candidates(events)[scores.index(1.0)]["program"]
        assert 0.0 in scores

    def test_tells_listeners_of_each_candidate(self):
        _, events = self.search(self.right_after(lambda demos: len(demos) == 2), max_labeled_demos=0)

        candidates = self.candidates(events)
        scores = [candidate["score"] for candidate in candidates]
        assert [candidate["number"] for candidate in candidates] == list(range(1, 11))
        assert {candidate["total"] for candidate in candidates} == {10}
        assert [candidate["best"] for candidate in candidates] == [max(scores[: end + 1]) for end in range(10)]

    def test_tries_no_labeled_and_bootstrapped_demos_in_order_then_shuffled(self):
        _, events = self.search(self.right_after(bool), max_labeled_demos=3)

        uncompiled, labeled, ordered, *shuffled = [candidate["program"] for candidate in self.candidates(events)]
        assert uncompiled.demos == ()
        assert len(labeled.demos) == 3
        assert texts(ordered) == TEXTS[:3]
        assert len({tuple(texts(program)) for program in shuffled}) > 1

    def test_bootstraps_shuffled_candidates_of_different_sizes(self):
        _, events = self.search(self.right_after(bool), max_labeled_demos=0, num_candidate_programs=16)

        _, ordered, *shuffled = [len(candidate["program"].demos) for candidate in self.candidates(events)]
        assert ordered == 3
        assert set(shuffled) == {1, 2, 3}

    def test_takes_the_earlier_of_equally_good_candidates(self):
        program, events = self.search(self.right_after(bool))

        assert program is self.candidates(events)[1]["program"]

    def test_stops_at_a_score_in_percent(self):
        _, events = self.search(self.right_after(bool), stop_at_score=100.0)

        assert [candidate["score"] for candidate in self.candidates(events)] == [0.0, 1.0]

    def test_refuses_a_fraction_to_stop_at(self):
        with pytest.raises(OptimizationError, match=r"write 85 for 0\.85"):
            self.search(right, stop_at_score=0.85)

    def test_is_the_same_for_the_same_seed_and_another_for_another(self):
        def demos(seed):
            _, events = self.search(self.right_after(bool), seed=seed)
            return [candidate["program"].demos for candidate in self.candidates(events)]

        assert demos(0) == demos(0)
        assert all(first != second for first, second in zip(demos(0)[3:], demos(1)[3:], strict=True))

    def test_leaves_candidates_as_they_are_when_there_are_to_be_more(self):
        def demos(count):
            _, events = self.search(self.right_after(bool), num_candidate_programs=count)
            return [candidate["program"].demos for candidate in self.candidates(events)]

        assert demos(5)[: len(demos(2))] == demos(2)

    def test_searches_labeled_demos_only_when_none_may_be_bootstrapped(self):
        program, _ = self.search(
            self.right_after(lambda demos: len(demos) == 2), max_bootstrapped_demos=0, max_labeled_demos=2
        )

        assert len(program.demos) == 2

    def test_without_a_valset_half_of_the_trainset_is_kept_for_it_by_the_seed(self, caplog):
        with context(lm=ScriptedLM(right)):
            search = BootstrapFewShotWithRandomSearch(
                exact_match("label"), num_candidate_programs=0, max_labeled_demos=0
            )
            found = [search.compile(Predict("text -> label"), trainset=rows(), restrict=[-1]) for _ in range(2)]
        assert 0 < len(found[0].demos) <= len(rows()) - len(rows()) // 2
        assert found[0].demos == found[1].demos
        assert f"{len(rows()) // 2} of the {len(rows())} training examples, drawn by seed 0" in caplog.text
        with pytest.raises(OptimizationError, match="valset=trainset, if you mean that"):
            search.compile(Predict("text -> label"), trainset=rows()[:1])
        with pytest.raises(OptimizationError, match="no candidate is left"):
            search.compile(Predict("text -> label"), trainset=rows(), restrict=[7])

    @pytest.mark.parametrize(
        ("valset", "reason"), [((), "the valset is empty"), ((Example(text="a"),), "the inputs of row 1 of the valset")]
    )
    def test_refuses_a_valset_that_cannot_be_used(self, valset, reason):
        with pytest.raises(OptimizationError, match=reason):
            self.search(right, valset=valset)


class TestKNNFewShot:
    def ask(self, program, text, script=right):
        """Return the request that a call of the program makes."""
        lm = ScriptedLM(script)
        with context(lm=lm):
            program(text=text)
        return requests(lm)[-1]

    def test_shows_the_nearest_examples_the_nearest_last(self):
        program = KNNFewShot(2).compile(Predict("text -> label"), trainset=rows())

        request = self.ask(program, "which currencies can I exchange for euros", lambda request: {"label": "x"})

        assert sorted(shown(request)) == sorted(TEXTS[3:5])
        assert shown(request)[-1] == TEXTS[4]

    def test_needs_no_lm_without_a_metric(self):
        program = KNNFewShot(3, rows()).compile(ChainOfThought("text -> label"))

        assert texts(program.predict) == TEXTS
        assert shown(self.ask(program, TEXTS[6]))[-1] == TEXTS[6]
        assert all("reasoning" not in demo for demo in program.predict.demos)

    def test_prefers_the_trainset_given_to_compile(self):
        program = KNNFewShot(3, rows()).compile(Predict("text -> label"), trainset=rows(TEXTS[:2]))

        assert texts(program) == TEXTS[:2]

    def test_needs_a_trainset(self):
        with pytest.raises(OptimizationError, match="the trainset is empty"):
            KNNFewShot(3).compile(Predict("text -> label"))

    def test_bootstraps_every_example_once_and_keeps_the_labels_of_those_that_fail(self):
        lm = ScriptedLM(lambda request: wrong(request) if asked(request) == TEXTS[1] else right(request))

        with context(lm=lm):
            program = KNNFewShot(2, metric=CORRECT, max_bootstrapped_demos=1).compile(
                ChainOfThought("text -> label"), trainset=rows()
            )

        assert len(lm.history) == len(TEXTS)
        assert [(demo["text"], demo["label"]) for demo in program.predict.demos] == list(LABELS.items())
        assert [text for demo, text in zip(program.predict.demos, TEXTS, strict=True) if "reasoning" not in demo] == [
            TEXTS[1]
        ]

    def test_gives_steps_without_labels_the_demos_of_the_teacher(self):
        with context(lm=ScriptedLM(pipeline_reply)):
            program = KNNFewShot(2, metric=CORRECT).compile(Pipeline(), trainset=rows())

        lm = ScriptedLM(pipeline_reply)
        with context(lm=lm):
            program(text=TEXTS[2])
        assert [shown(request)[-1] for request in requests(lm)] == [TEXTS[2], TEXTS[2]]
        assert texts(program.rewrite) == TEXTS

    def test_leaves_steps_without_any_demo_as_they_are(self):
        program = KNNFewShot(2).compile(Pipeline(), trainset=rows())

        lm = ScriptedLM(pipeline_reply)
        with context(lm=lm):
            program(text=TEXTS[2])
        assert [len(shown(request)) for request in requests(lm)] == [0, 2]

    def test_a_stored_choice_by_an_unknown_embedder_is_refused_whole(self):
        state = KNNFewShot(2).compile(ChainOfThought("text -> label"), trainset=rows()).dump_state()
        state["predict"]["demo_selector"]["embedder"] = {"kind": "of the future"}
        program = ChainOfThought("text -> label")

        with pytest.raises(ArtifactError, match="of the future"):
            program.load_state(state)

        assert program.predict.demos == ()

    def test_refuses_unknown_arguments_at_once(self):
        with pytest.raises(TypeError, match="max_demos"):
            KNNFewShot(2, max_demos=3)
