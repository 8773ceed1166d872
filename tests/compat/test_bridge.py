"""Programs, optimizers, LMs and examples of DSPy where ours are expected."""

import asyncio
import subprocess
import sys
import threading
from types import ModuleType

import pytest
from both import chat

import dspex_core
from dspex_core import Evaluate, Example, Predict, ScriptedLM, exact_match
from dspex_core.errors import (
    AdapterParseError,
    ArtifactError,
    BudgetExceededError,
    ConfigurationError,
    ContextWindowExceededError,
    LMNotConfiguredError,
    LMRateLimitError,
    StaleArtifactWarning,
)
from dspex_core.interop import as_dspy_lm, as_optimizer, as_program, from_dspy, to_dspy

ROWS = [Example(text=str(n), label="good" if n % 2 else "bad").with_inputs("text") for n in range(6)]
MATCH = exact_match("label")


def answer(request):
    """Say that every text is good."""
    return chat(reasoning="r", reply="ok") if "reasoning" in str(request.messages) else chat(label="good")


@pytest.fixture
def lm(real):
    made = ScriptedLM(answer)
    with dspex_core.context(lm=made):
        yield made


@pytest.fixture
def triage(real):
    class Triage(real.Module):
        def __init__(self):
            super().__init__()
            self.classify = real.Predict("text -> label")
            self.steps = [real.ChainOfThought("text, label -> reply")]

        def forward(self, text):
            label = self.classify(text=text).label
            return real.Prediction(label=label, reply=self.steps[0](text=text, label=label).reply)

    return Triage


def test_evaluate_takes_a_module_and_examples_of_dspy(lm, real, triage):
    theirs = [real.Example(text=row.text, label=row.label).with_inputs("text") for row in ROWS]
    for devset in (ROWS, theirs, [{"text": row.text, "label": row.label} for row in ROWS]):
        result = Evaluate(devset=devset, metric=MATCH)(triage())
        assert (result.mean, result.errors) == (0.5, ())
    assert [step.predictor for step in result.cases[0].trace] == ["classify", "steps[0].predict"]
    assert result.cases[0].trace[1].inputs == {"text": "0", "label": "good"}


def test_a_metric_that_is_a_module_asks_the_same_lm(lm, real):
    class Judge(real.Module):
        def __init__(self):
            super().__init__()
            self.ask = real.Predict("text -> label")

        def forward(self, example, prediction, trace=None):
            return self.ask(text=example.text).label == prediction.label

    assert Evaluate(devset=ROWS, metric=Judge())(real.Predict("text -> label")).mean == 1


def test_a_metric_that_returns_a_prediction_of_dspy_keeps_its_feedback(lm, real):
    class Judged(real.Prediction):
        pass

    def judged(example, prediction, trace=None):
        kind = Judged if example.text == "0" else real.Prediction
        return kind(score=example.label == prediction.label, feedback=f"not {example.label}", details={"row": 1})

    for program in (real.Predict("text -> label"), Predict("text -> label")):
        result = Evaluate(devset=ROWS[:2], metric=judged)(program)
        assert [(case.score.value, case.score.feedback) for case in result.cases] == [(0, "not bad"), (1, "not good")]
        assert result.cases[0].score.details == {"row": 1}
    wrong = Evaluate(devset=ROWS[:1], metric=lambda *_: real.Prediction(grade=1))(Predict("text -> label"))
    assert "a field 'score'" in str(wrong.cases[0].error)


def test_calls_are_in_the_budget_the_usage_and_the_history_also_from_threads_of_dspy(lm, real):
    class Many(real.Module):
        def __init__(self):
            super().__init__()
            self.ask = real.Predict("text -> label")

        def forward(self, text):
            pairs = [(self.ask, real.Example(text=f"{text}{n}").with_inputs("text")) for n in range(4)]
            return real.Prediction(labels=[made.label for made in real.Parallel(num_threads=2)(pairs)])

    budget, program = dspex_core.Budget(calls=4), as_program(Many())
    with dspex_core.context(budget=budget), dspex_core.track_usage():
        assert program(text="a").labels == ["good"] * 4
    assert budget.spent["calls"] == 4
    assert len(lm.history) == 4
    with real.context(lm=as_dspy_lm()):
        assert program(text="b").labels == ["good"] * 4
    with dspex_core.context(budget=dspex_core.Budget(calls=0)), pytest.raises(BudgetExceededError):
        as_program(real.Predict("text -> label"))(text="a")


def test_async_modules_of_either_form(lm, real, triage):
    class Later(real.Module):
        def __init__(self):
            super().__init__()
            self.ask = real.Predict("text -> label")

        async def aforward(self, text):
            return await self.ask.acall(text=text)

    assert as_program(Later())(text="a").label == "good"
    for program in (Later(), triage()):
        assert asyncio.run(as_program(program).acall(text="a")).label == "good"
        assert asyncio.run(Evaluate(devset=ROWS, metric=MATCH).acall(program)).mean == 0.5


def test_an_lm_of_dspys_own_goes_first(lm, real):
    own = real.utils.DummyLM([{"label": "own"}] * 3)
    program = real.Predict("text -> label")
    with real.context(lm=own):
        assert as_program(program)(text="a").label == "own"
    program.lm = own
    assert as_program(program)(text="a").label == "own"
    assert as_program(program).get_lm().theirs is own


def test_as_dspy_lm_without_an_lm_follows_the_settings(real):
    with real.context(lm=as_dspy_lm()):
        for word in ("one", "two"):
            with dspex_core.context(lm=ScriptedLM(lambda _, word=word: chat(label=word))):
                assert real.Predict("text -> label")(text="a").label == word
    with pytest.raises(ConfigurationError, match="not 'openai/x'"):
        as_dspy_lm("openai/x")


def test_an_lm_that_prefers_json_is_asked_for_it_with_the_schema(real):
    class Strict(ScriptedLM):
        preferred_adapter = "json"

    lm = Strict(lambda request: '{"label": "good"}' if request.response_schema else "prose")
    with dspex_core.context(lm=lm):
        assert as_program(real.Predict("text -> label"))(text="a").label == "good"
    assert lm.history[-1].request.response_schema.schema["required"] == ["label"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LMRateLimitError("slow down", model="m"), LMRateLimitError),
        (ContextWindowExceededError("too long", model="m"), ContextWindowExceededError),
        (None, AdapterParseError),
    ],
)
def test_errors_are_ours_outside_and_dspys_inside(real, error, kind):
    seen = []

    class Careful(real.Module):
        def __init__(self):
            super().__init__()
            self.ask = real.Predict("text -> label")

        def forward(self, text):
            try:
                return self.ask(text=text)
            except (real.LMError, real.utils.exceptions.AdapterParseError) as raised:
                seen.append(type(raised).__name__)
                raise

    def fail(request):
        if error is not None:
            raise error
        return "prose"

    with dspex_core.context(lm=ScriptedLM(fail)), pytest.raises(kind):
        as_program(Careful())(text="a")
    assert seen == [kind.__name__]


@pytest.mark.parametrize("whose", ["ours", "dspys"])
def test_optimizers_of_both_compile_it_and_leave_it_as_it_is(lm, real, triage, whose, tmp_path):
    made = (real if whose == "dspys" else dspex_core).BootstrapFewShot(
        metric=MATCH, max_bootstrapped_demos=2, max_labeled_demos=0
    )
    student, options = triage(), dict(vars(made))
    compiled = as_optimizer(made).compile(student, trainset=ROWS)

    assert [demo["text"] for demo in compiled.classify.demos] == ["1", "3"]
    assert (student.classify.demos, vars(made)) == ([], options)
    compiled.save(tmp_path / "ours.json")
    compiled.save(tmp_path / "theirs.json", format="dspy")
    student.load(tmp_path / "theirs.json")
    loaded = as_program(triage())
    loaded.load(tmp_path / "ours.json")
    assert [demo["text"] for demo in student.classify.demos] == ["1", "3"]
    assert loaded.dump_state() == compiled.dump_state()


def test_an_optimizer_of_dspys_compiles_a_program_of_ours(lm, real):
    made = real.LabeledFewShot(k=2)
    compiled = as_optimizer(made).compile(Predict("text -> label"), trainset=ROWS)
    assert (type(compiled), len(compiled.demos)) == (Predict, 2)


def test_a_state_of_an_older_source_is_stale(lm, real, triage, tmp_path):
    file = tmp_path / "a.json"
    as_optimizer(real.LabeledFewShot(k=1)).compile(triage(), trainset=ROWS).save(file)
    changed = triage()
    changed.classify = real.Predict(changed.classify.signature.with_instructions("Say more."))
    with pytest.warns(StaleArtifactWarning, match="Say more"):
        as_program(changed).load(file)
    as_program(triage()).load(file)


def test_copies_have_a_state_of_their_own_and_share_lms(lm, real, triage):
    program = as_program(triage())
    program.set_lm(lm)
    copy = program.deepcopy()
    copy.every_predictor()[0][1].demos = ROWS[:1]
    copy.classify.signature = copy.classify.signature.with_instructions("Else.")
    assert program.classify.demos == []
    assert program.classify.signature.instructions != "Else."
    assert copy.get_lm() is program.get_lm() is lm


def test_an_attribute_that_dspy_would_not_see_cannot_be_set(real, triage):
    program = as_program(triage())
    with pytest.raises(ConfigurationError, match="'classify' is an attribute of Triage"):
        program.classify = real.Predict("text -> label")


def test_a_program_without_logic_is_one_clear_message(real):
    program = as_program(type("Empty", (real.Module,), {})())
    with pytest.raises(NotImplementedError, match="Empty, a program of DSPy, defines neither"):
        program(text="a")
    with pytest.raises(NotImplementedError, match="Empty, a program of DSPy, defines neither"):
        asyncio.run(program.acall(text="a"))


def test_a_program_without_an_lm_fails_as_ours_do(real, triage):
    with dspex_core.context(lm=None), pytest.raises(LMNotConfiguredError, match="no LM is set"):
        as_program(triage())(text="a")


def test_frozen_parts_are_run_and_saved_and_not_optimized(real, triage):
    frozen = triage()
    frozen.steps[0]._compiled = True
    program = as_program(frozen)
    assert [path for path, _ in program.named_predictors()] == ["classify"]
    assert set(program.dump_state()) == {"classify", "steps[0].predict"}


def test_what_a_bridged_predictor_cannot_be_is_one_clear_message(real, tmp_path):
    program = as_program(real.Predict("text -> label"))
    predictor = program.every_predictor()[0][1]
    with pytest.raises(ConfigurationError, match="keeps its fields"):
        predictor.signature = Predict("text -> other").signature
    with pytest.raises(ConfigurationError, match="cannot choose its demos in each call"):
        predictor.demo_selector = object()
    for name, value, words in [
        ("signature", "text -> label", "predictor.signature.with_instructions"),
        ("config", None, "sampling parameters by name, not None"),
        ("demos", None, "a list of examples, not None"),
        ("demos", [3], "a dict of its fields, not 3"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            setattr(predictor, name, value)
    with pytest.raises(ArtifactError, match="a state is a mapping"):
        program.load_state(None)
    with pytest.raises(ArtifactError, match="keeps the state alone"):
        program.save(tmp_path / "whole", save_program=True)


class TestConversion:
    def test_state_tools_lms_and_shared_parts_come_along_and_back(self, ours, real):
        def lookup(name: str) -> str:
            """Look it up."""
            return name

        class Whole(real.Module):
            def __init__(self):
                super().__init__()
                self.first = real.Predict("text: str, size: int -> label: list[str]", temperature=0.5)
                self.by_name = {"again": self.first, "agent": real.ReAct("q -> a", tools=[lookup], max_iters=4)}

            def forward(self, text):
                return self.first(text=text, size=1)

        theirs = Whole()
        theirs.first.demos = [real.Example(text="a", size=1, label=["b"])]
        theirs.first.lm = real.LM("openai/gpt-4o-mini", temperature=0.2)
        mine = from_dspy(theirs)
        back = to_dspy(mine)

        assert mine.by_name["again"] is mine.first
        assert back.by_name["again"] is back.first
        assert (mine.first.config, list(map(dict, mine.first.demos))) == (
            {"temperature": 0.5},
            [dict(theirs.first.demos[0])],
        )
        assert (mine.first.lm.model, mine.first.lm.config["temperature"]) == ("openai/gpt-4o-mini", 0.2)
        assert list(mine.by_name["agent"].tools) == list(back.by_name["agent"].tools) == ["lookup", "finish"]
        for program in (theirs, back):
            program.set_lm(None)
        assert back.dump_state() == theirs.dump_state()

    def test_types_and_limits(self, ours, real):
        class Task(real.Signature):
            """Do it."""

            images: list[real.Image] = real.InputField(desc="to see")
            history: real.History = real.InputField()
            code: real.Code["python"] | None = real.OutputField(default=None)  # noqa: F821  a language
            sure: float = real.OutputField(ge=0, le=1)

        mine = from_dspy(real.Predict(Task)).signature
        back = to_dspy(Predict(mine)).signature
        assert mine.fields["images"].annotation == list[ours.Image]
        assert mine.fields["history"].annotation is ours.History
        assert dict(mine.fields["sure"].constraints) == {"ge": 0, "le": 1}
        assert mine.fields["code"].default is None
        assert back.dump_state() == Task.dump_state()
        annotations = [field.annotation for field in back.fields.values()]
        assert [*annotations[:2], annotations[3]] == [list[real.Image], real.History, float]
        assert annotations[2].__args__[0].language == "python"

    def test_each_part_that_cannot_be_converted_is_named_with_the_reason(self, real):
        class Own(real.Predict):
            def forward(self, **inputs):
                return super().forward(**inputs)

        class Whole(real.Module):
            def __init__(self):
                super().__init__()
                self.parts = [Own("a -> b")]
                self.scripted = real.Predict("a -> b")
                self.scripted.lm = real.utils.DummyLM([])
                self.best = real.RLM("a -> b")

            def forward(self, a):
                return self.scripted(a=a)

        with pytest.raises(ConfigurationError) as raised:
            from_dspy(Whole())
        text = str(raised.value)
        assert "parts[0] (Own): it is a Predict with code of its own" in text
        assert "scripted (Predict): its LM is a DummyLM" in text
        assert "best (RLM): of the built-in programs, these can be converted" in text
        with pytest.raises(ConfigurationError, match=r"self \(Predict\): DSPy cannot choose demos"):
            to_dspy(dspex_core.KNNFewShot(k=1, trainset=ROWS, vectorizer=len).compile(Predict("text -> label")))
        with pytest.raises(ConfigurationError, match="takes a dspy"):
            from_dspy(len)

    def test_members_that_name_the_class_they_were_written_in_are_named(self, real):
        class Whole(real.Module):
            __slots__ = ()

            @property
            def words(self):
                return super().__repr__()

            def forward(self, a):
                return self.words

        class Slotted(Whole):
            __slots__ = ("kept",)

        with pytest.raises(ConfigurationError, match="its method words uses super"):
            from_dspy(Whole())
        with pytest.raises(ConfigurationError, match="Slotted has __slots__"):
            from_dspy(Slotted())

    def test_classes_beside_the_librarys_base_stay_bases_and_shared_collections_shared(self, lm, real):
        class Shouting:
            def said(self, text):
                return text.upper()

        class Whole(Shouting, real.Module):
            def __init__(self):
                super().__init__()
                self.asked = self.also_asked = [real.Predict("text -> label")]

            def forward(self, text):
                return real.Prediction(label=self.said(self.asked[0](text=text).label))

        mine = from_dspy(Whole())
        back = to_dspy(mine)
        assert (mine(text="a").label, as_program(back)(text="a").label) == ("GOOD", "GOOD")
        assert mine.also_asked is mine.asked
        assert isinstance(back, Shouting | real.Module)


def test_settings_reach_threads_that_a_program_starts_itself(lm, real):
    class Threaded(real.Module):
        def __init__(self):
            super().__init__()
            self.ask = real.Predict("text -> label")

        def forward(self, text):
            found, overrides = [], real.settings.copy()

            def work():
                with real.context(**overrides):
                    found.append(self.ask(text=text))

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return found[0]

    assert as_program(Threaded())(text="a").label == "good"


def test_libraries_that_import_parts_of_numpy_are_loaded_after_dspy():
    code = """import sys, dspy
assert "__version__" not in vars(sys.modules["numpy"])  # DSPy's stand-in
from dspex_core.errors.optional import optional
assert optional("joblib", "this needs joblib", extra="local").cpu_count() > 0"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_module_of_the_users_that_is_called_dspy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dspy", ModuleType("dspy"))
    with pytest.raises(ConfigurationError, match="is not DSPy: give it another name"):
        from_dspy(None)


def test_numpy_is_whole_for_code_that_runs_after_a_program_was_adopted(real, monkeypatch):
    class StandIn(ModuleType):
        def __getattr__(self, name):
            sys.modules["numpy"] = whole
            return getattr(whole, name)

    whole = sys.modules["numpy"]
    monkeypatch.setitem(sys.modules, "numpy", StandIn("numpy"))
    as_program(real.Predict("text -> label"))
    assert sys.modules["numpy"] is whole
