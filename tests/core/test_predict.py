"""Predict, ChainOfThought and user modules, driven sync and async."""

import asyncio
import copy
import pickle
from typing import Literal

import pytest

from dspex_core import (
    AdapterParseError,
    ArtifactError,
    ChainOfThought,
    ChatAdapter,
    InputField,
    JSONAdapter,
    LMNotConfiguredError,
    Module,
    NearestDemos,
    OutputField,
    Predict,
    Prediction,
    ScriptedLM,
    Signature,
    SignatureError,
    TwoStepAdapter,
    configure,
    context,
    settings,
    track_usage,
)


class Classify(Signature):
    """Say which label fits."""

    text: str = InputField(desc="what the customer wrote")
    label: Literal["refund", "delivery"] = OutputField()


class TwoSteps(Module):
    def __init__(self):
        self.first = Predict("question -> topic")
        self.rest = [Predict("topic -> answer"), Predict("answer -> shorter")]

    def forward(self, question):
        topic = self.first(question=question).topic
        answer = self.rest[0](topic=topic).answer
        return Prediction(answer=answer, shorter=self.rest[1](answer=answer).shorter)


def ask(module, how, **inputs):
    return module(**inputs) if how == "sync" else asyncio.run(module.acall(**inputs))


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
def test_a_call_returns_the_typed_outputs(how):
    predict = Predict("text -> count: int, tags: list[str]")
    with context(lm=ScriptedLM([{"count": 3, "tags": ["a", "b"]}])):
        prediction = ask(predict, how, text="x")
    assert (prediction.count, prediction.tags) == (3, ["a", "b"])


@both
def test_a_chain_of_thought_has_the_reasoning_first(how):
    program = ChainOfThought(Classify)
    with context(lm=ScriptedLM([{"reasoning": "money back", "label": "refund"}])):
        prediction = ask(program, how, text="I want my money")
    assert list(prediction.keys()) == ["reasoning", "label"]
    assert list(program.predict.signature.output_fields) == ["reasoning", "label"]


def test_reasoning_is_asked_for_by_its_name_alone():
    lm = ScriptedLM([{"reasoning": "r", "label": "refund"}], adapter="json")
    with context(lm=lm):
        ChainOfThought(Classify)(text="x")
    [entry] = lm.history
    assert entry.request.messages[0].text.count("reasoning") == 1


def test_an_lm_that_is_held_to_a_schema_is_not_let_to_reason_for_ever():
    lm = ScriptedLM([{"reasoning": "r", "label": "refund"}], adapter="json")
    with context(lm=lm):
        ChainOfThought(Classify)(text="x")
    [entry] = lm.history
    assert entry.request.response_schema.schema["properties"]["reasoning"]["maxLength"] == 600


@both
def test_a_users_forward_runs_sync_and_async(how):
    with context(lm=ScriptedLM([{"topic": "t"}, {"answer": "long"}, {"shorter": "l"}])):
        assert ask(TwoSteps(), how, question="q") == Prediction(answer="long", shorter="l")


@both
def test_a_users_aforward_alone_serves_both(how):
    class Async(Module):
        async def aforward(self, text):
            return Prediction(text=text.upper())

    assert ask(Async(), how, text="x").text == "X"


def test_a_module_without_forward_says_so():
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines neither forward nor aforward"):
        Empty()()


def test_without_an_lm_the_error_says_how_to_set_one():
    with context(lm=None), pytest.raises(LMNotConfiguredError, match="configure"):
        Predict(Classify)(text="x")


def test_a_missing_input_is_named():
    with context(lm=ScriptedLM([])), pytest.raises(SignatureError, match="'context'"):
        Predict("question, context -> answer")(question="q")


def test_an_unknown_input_is_logged_and_ignored(caplog):
    with context(lm=ScriptedLM([{"answer": "a"}])):
        assert Predict("question -> answer")(question="q", colour="red").answer == "a"
    assert "'colour'" in caplog.text


def test_the_lm_of_the_call_beats_the_predictors_which_beats_the_settings():
    lms = {name: ScriptedLM(lambda _, name=name: {"answer": name}) for name in ("settings", "predictor", "call")}
    predict = Predict("question -> answer")
    with context(lm=lms["settings"]):
        assert predict(question="q").answer == "settings"
        predict.lm = lms["predictor"]
        assert predict(question="q").answer == "predictor"
        assert predict(question="q", lm=lms["call"]).answer == "call"


def test_demos_come_before_the_inputs_in_the_prompt():
    lm = ScriptedLM([{"label": "refund"}])
    predict = Predict(Classify)
    predict.demos = [{"text": "where is it", "label": "delivery"}]
    with context(lm=lm):
        predict(text="money back")
    contents = [message.content for message in lm.history[0].request.messages]
    assert [("where is it" in content, "money back" in content) for content in contents] == [
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert "delivery" in contents[2]


def test_new_demos_or_instructions_change_the_prompt():
    lm = ScriptedLM(lambda _: {"label": "refund"})
    predict = Predict(Classify)
    with context(lm=lm):
        predict(text="x")
        predict.demos = [{"text": "where is it", "label": "delivery"}]
        predict(text="x")
        predict.signature = predict.signature.with_instructions("Choose well.")
        predict(text="x")
    sizes = [len(entry.request.messages) for entry in lm.history]
    assert sizes == [2, 4, 4]
    assert "Choose well." in lm.history[2].request.messages[0].content


def test_a_selector_shows_the_nearest_demos_last():
    lm = ScriptedLM(lambda _: {"label": "refund"})
    predict = Predict(Classify)
    predict.demos = [
        {"text": "my parcel has not arrived", "label": "delivery"},
        {"text": "give me my money back now", "label": "refund"},
        {"text": "zzz qqq", "label": "refund"},
    ]
    predict.demo_selector = NearestDemos(2)
    with context(lm=lm):
        predict(text="the parcel has still not arrived")
    shown = [message.content for message in lm.history[0].request.messages if message.role == "user"]
    assert len(shown) == 3
    assert "my parcel has not arrived" in shown[1]


def test_several_completions_are_all_kept():
    with context(lm=ScriptedLM([{"answer": "a"}, {"answer": "b"}])):
        prediction = Predict("question -> answer", n=2)(question="q")
    assert prediction.answer == "a"
    assert prediction.completions.answer == ["a", "b"]


def test_a_reply_that_the_chat_adapter_cannot_read_is_asked_for_again_as_json():
    lm = ScriptedLM(["what?", '{"answer": "42"}'])
    with context(lm=lm):
        assert Predict("question -> answer: int")(question="q").answer == 42
    assert [entry.request.response_schema is not None for entry in lm.history] == [False, True]


def test_a_reply_that_cannot_be_read_at_all_is_one_error_that_shows_it():
    with context(lm=ScriptedLM(lambda _: "what?")), pytest.raises(AdapterParseError) as caught:
        Predict("question -> answer")(question="q")
    assert caught.value.lm_response == "what?"
    assert caught.value.missing == ("answer",)


class TestParseRetries:
    def test_the_error_is_fed_back_with_the_bad_reply(self):
        lm = ScriptedLM([{"answer": "many"}, {"answer": "42"}])
        with context(lm=lm, parse_retries=1):
            assert Predict("question -> answer: int")(question="q").answer == 42
        first, second = (entry.request.messages for entry in lm.history)
        assert second[: len(first)] == first
        assistant, user = second[len(first) :]
        assert (assistant.role, assistant.content) == ("assistant", lm.history[0].response.text)
        assert user.role == "user"
        assert "answer: Input should be a valid integer" in user.content
        assert "[[ ## answer ## ]]" in user.content

    @both
    def test_retries_come_first_and_then_the_fallback(self, how):
        lm = ScriptedLM(["one?", "two?", "three?", '{"answer": "a"}'])
        with context(lm=lm, parse_retries=2), track_usage() as usage:
            assert ask(Predict("question -> answer"), how, question="q").answer == "a"
        requests = [entry.request for entry in lm.history]
        assert [len(request.messages) for request in requests] == [2, 4, 6, 2]
        assert [request.response_schema is not None for request in requests] == [False, False, False, True]
        assert usage.calls == 4

    def test_there_is_none_unless_asked_for(self):
        lm = ScriptedLM(lambda _: "what?")
        with context(lm=lm, adapter=JSONAdapter()), pytest.raises(AdapterParseError):
            Predict("question -> answer")(question="q")
        assert len(lm.history) == 1

    def test_an_adapter_without_fallback_has_them_too_and_the_last_reply_is_shown(self):
        lm = ScriptedLM(["one?", "", "three?"])
        with context(lm=lm, adapter=JSONAdapter(), parse_retries=2), pytest.raises(AdapterParseError) as caught:
            Predict("question -> answer")(question="q")
        assert caught.value.lm_response == "three?"
        assert all(message.content for message in lm.history[-1].request.messages)

    def test_the_reply_fed_back_is_the_one_of_several_that_could_not_be_read(self):
        lm = ScriptedLM([{"answer": "1"}, {"answer": "x"}, {"answer": "2"}, {"answer": "3"}])
        with context(lm=lm, parse_retries=1):
            prediction = Predict("question -> answer: int", n=2)(question="q")
        assert prediction.completions.answer == [2, 3]
        assert lm.history[1].request.messages[-2].content == lm.history[0].response.outputs[1].text


class TestTwoSteps:
    signature = "question -> answer: int, why"

    def run(self, main, extractor, how="sync"):
        with context(lm=main, adapter=TwoStepAdapter(extractor)), track_usage() as usage:
            return ask(Predict(self.signature), how, question="q"), usage

    @both
    def test_the_second_lm_reads_the_outputs_out_of_the_firsts_answer(self, how):
        main, extractor = ScriptedLM(["It is six times seven."]), ScriptedLM([{"answer": "42", "why": "6 * 7"}])
        prediction, usage = self.run(main, extractor, how)
        assert prediction.toDict() == {"answer": 42, "why": "6 * 7"}
        assert "It is six times seven." in extractor.history[0].request.messages[-1].content
        assert (len(main.history), len(extractor.history), usage.calls) == (1, 1, 2)

    def test_each_completion_is_read(self):
        main, extractor = ScriptedLM(["one", "two"]), ScriptedLM({"one": {"answer": 1}, "two": {"answer": 2}})
        with context(lm=main, adapter=TwoStepAdapter(extractor)):
            assert Predict("question -> answer: int", n=2)(question="q").completions.answer == [1, 2]

    def test_retries_and_fallback_are_the_second_lms(self):
        main = ScriptedLM(["Forty-two."])
        extractor = ScriptedLM([{"answer": "x"}, {"why": "w"}, '{"answer": 42, "why": "w"}'])
        with context(parse_retries=1):
            prediction, usage = self.run(main, extractor)
        assert prediction.answer == 42
        assert [len(entry.request.messages) for entry in extractor.history] == [2, 4, 2]
        assert (len(main.history), usage.calls) == (1, 4)

    def test_a_failure_shows_both_replies_and_what_was_missing(self):
        main, extractor = ScriptedLM(["Who knows?"]), ScriptedLM(lambda _: '{"answer": "none"}')
        with pytest.raises(AdapterParseError) as caught:
            self.run(main, extractor)
        error = caught.value
        assert (error.adapter_name, error.lm_response) == ("TwoStepAdapter", "Who knows?")
        assert list(error.signature.input_fields) == ["question"]
        assert (error.missing, list(error.invalid)) == (("why",), ["answer"])
        assert '{"answer": "none"}' in str(error)

    def test_the_trace_shows_one_predictor(self):
        trace = []
        main, extractor = ScriptedLM(["x"]), ScriptedLM([{"answer": 1, "why": "w"}])
        with context(trace=trace):
            self.run(main, extractor)
        assert [inputs for _, inputs, _ in trace] == [{"question": "q"}]


def test_the_lm_decides_the_adapter_unless_the_settings_do():
    json_lm = ScriptedLM(lambda _: {"answer": "a"}, adapter="json")
    predict = Predict("question -> answer")
    with context(lm=json_lm):
        predict(question="q")
    with context(lm=json_lm, adapter=ChatAdapter()):
        predict(question="q")
    with context(lm=ScriptedLM(lambda _: {"answer": "a"}), adapter=JSONAdapter()) as inside:
        predict(question="q")
        other = inside.lm.history[0]
    schemas = [entry.request.response_schema is not None for entry in [*json_lm.history, other]]
    assert schemas == [True, False, True]


def test_sampling_parameters_of_the_call_beat_those_of_the_predictor_which_beat_the_lms():
    lm = ScriptedLM(lambda _: {"answer": "a"})
    lm.config = {"temperature": 0.1, "top_p": 0.2, "stop": "x"}
    predict = Predict("question -> answer", temperature=0.5, top_p=0.6)
    with context(lm=lm):
        predict(question="q", config={"temperature": 0.9, "rollout_id": 7})
    request = lm.history[0].request
    assert request.config == {"temperature": 0.9, "top_p": 0.6, "stop": "x"}
    assert request.rollout_id == 7


def test_a_trace_notes_each_predictor_in_order():
    program = TwoSteps()
    with context(lm=ScriptedLM([{"topic": "t"}, {"answer": "long"}, {"shorter": "l"}]), trace=[]) as inside:
        program(question="q")
    assert [predictor for predictor, _, _ in inside.trace] == program.predictors()
    assert inside.trace[0][1] == {"question": "q"}
    assert inside.trace[2][2].shorter == "l"


def test_predictors_are_named_by_where_they_are():
    names = [name for name, _ in TwoSteps().named_predictors()]
    assert names == ["first", "rest[0]", "rest[1]"]
    assert [name for name, _ in Predict("a -> b").named_predictors()] == ["self"]


def test_a_predictor_held_twice_is_named_once():
    program = TwoSteps()
    program.again = program.first
    assert len(program.named_predictors()) == 3


def test_predictors_can_be_replaced_in_place():
    program = TwoSteps().map_named_predictors(lambda predictor: ChainOfThought(predictor.signature).predict)
    assert all("reasoning" in predictor.signature.output_fields for predictor in program.predictors())


def test_an_lm_can_be_set_for_all_predictors():
    program, lm = TwoSteps(), ScriptedLM([])
    program.set_lm(lm)
    assert program.get_lm() is lm
    program.first.lm = None
    with pytest.raises(ValueError, match="different LMs"):
        program.get_lm()


def test_a_copy_changes_nothing_in_the_original_and_shares_demos_and_lm():
    program, lm = TwoSteps(), ScriptedLM([])
    program.set_lm(lm)
    program.first.demos = [{"question": "q", "topic": "t"}]
    clone = program.deepcopy()
    assert clone.first.demos == program.first.demos
    assert clone.first.demos[0] is program.first.demos[0]
    assert clone.first.lm is lm
    clone.first.demos = []
    clone.rest[0].config["temperature"] = 1.0
    assert len(program.first.demos) == 1
    assert program.rest[0].config == {}
    assert copy.deepcopy(program).reset_copy().first.demos == ()


CHANGES = [
    lambda demos, demo: demos.append(demo),
    lambda demos, demo: demos.extend([demo]),
    lambda demos, demo: demos.insert(0, demo),
    lambda demos, demo: demos.remove(demos[0]),
    lambda demos, demo: demos.pop(),
    lambda demos, demo: demos.clear(),
    lambda demos, demo: demos.sort(key=lambda each: each["b"]),
    lambda demos, demo: demos.reverse(),
    lambda demos, demo: demos.__setitem__(0, demo),
    lambda demos, demo: demos.__setitem__(slice(None), [demo]),
    lambda demos, demo: demos.__delitem__(0),
    lambda demos, demo: demos.__iadd__([demo]),
    lambda demos, demo: demos.__imul__(2),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_demos_is_that_of_its_predictor_alone_and_is_in_the_next_prompt(change):
    predict = Predict("a -> b")
    predict.demos = [{"a": "1", "b": "2"}, {"a": "3", "b": "1"}]
    clones = [predict.deepcopy(), copy.copy(predict)]
    lm = ScriptedLM(lambda request: "[[ ## b ## ]]\nyes")
    expected = list(predict.demos)
    change(expected, {"a": "5", "b": "6"})
    with context(lm=lm, adapter=ChatAdapter()):
        predict(a="?")
        change(predict.demos, {"a": "5", "b": "6"})
        predict(a="?")
    assert predict.demos == expected
    assert all(clone.demos == [{"a": "1", "b": "2"}, {"a": "3", "b": "1"}] for clone in clones)
    assert len(lm.history[-1].request.messages) == 2 + 2 * len(expected)


def test_demos_that_were_replaced_or_copied_are_a_plain_list():
    predict = Predict("a -> b")
    old, other = predict.demos, copy.deepcopy(predict.demos)
    predict.demos = [{"a": 1, "b": 2}]
    old.append({"a": 3, "b": 4})
    other.append({"a": 5, "b": 6})
    assert predict.demos == [{"a": 1, "b": 2}]
    assert type(pickle.loads(pickle.dumps(predict.demos))) is list


def test_a_part_that_is_compiled_is_left_as_it_is_but_keeps_an_lm_and_a_state():
    program, lm = TwoSteps(), ScriptedLM([])
    outer = Module()
    outer.inner, outer.last = program, Predict("a -> b")
    program._compiled = True
    outer.set_lm(lm)
    assert [path for path, _ in outer.named_predictors()] == ["last"]
    assert len(program.predictors()) == 3
    assert program.first.lm is lm
    assert len(outer.dump_state()) == 4


class TestState:
    def make(self):
        program = TwoSteps()
        program.first.demos = [{"question": "q", "topic": "t"}]
        program.first.signature = program.first.signature.with_instructions("Name the topic.")
        program.rest[0].config = {"temperature": 0.3}
        program.rest[1].demo_selector = NearestDemos(3)
        return program

    def test_a_saved_program_loads_as_it_was(self, tmp_path):
        self.make().save(tmp_path / "p.json")
        loaded = TwoSteps()
        loaded.load(tmp_path / "p.json")
        assert loaded.dump_state() == self.make().dump_state()
        assert loaded.first.signature.instructions == "Name the topic."
        assert loaded.rest[1].demo_selector.k == 3

    def test_typed_demos_come_back_typed(self, tmp_path):
        predict = Predict("text -> tags: list[str], count: int")
        predict.demos = [{"text": "t", "tags": ["a"], "count": 2, "note": "kept"}]
        predict.save(tmp_path / "p.json")
        loaded = Predict("text -> tags: list[str], count: int")
        loaded.load(tmp_path / "p.json")
        assert loaded.demos == predict.demos

    def test_every_mismatch_is_reported_and_nothing_is_changed(self, tmp_path):
        state = self.make().dump_state()
        state["other"] = state.pop("rest[1]")
        state["rest[0]"]["demos"] = [{"topic": ["not", "a", "text"]}]
        state["first"]["signature"]["fields"]["colour"] = state["first"]["signature"]["fields"].pop("topic")
        program = TwoSteps()
        with pytest.raises(ArtifactError) as caught:
            program.load_state(state)
        told = "\n".join(caught.value.problems)
        assert all(part in told for part in ["'rest[1]'", "'other'", "rest[0]: demo 0", "first: ", "colour"])
        assert program.dump_state() == TwoSteps().dump_state()

    def test_no_key_is_ever_stored(self, tmp_path):
        program = TwoSteps()
        lm = ScriptedLM([])
        lm.api_key = "sk-secret"
        program.set_lm(lm)
        program.save(tmp_path / "p.json")
        assert "sk-secret" not in (tmp_path / "p.json").read_text()


class TestSettings:
    def test_configure_inside_a_context_ends_with_it(self):
        before = settings.num_threads
        with context():
            configure(num_threads=before + 1)
            assert settings.num_threads == before + 1
        assert settings.num_threads == before

    def test_an_unknown_setting_is_named(self):
        with pytest.raises(ValueError, match="'temprature'"), context(temprature=1):
            pass
        with pytest.raises(AttributeError, match="'temprature'"):
            _ = settings.temprature
