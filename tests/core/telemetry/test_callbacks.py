"""Callbacks are told of each call, under DSPy's names."""

import asyncio
import copy
import threading

import pytest

from dspex_core import (
    LM,
    AdapterParseError,
    BaseCallback,
    BaseLM,
    ChainOfThought,
    ChatAdapter,
    Evaluate,
    EvaluationError,
    Example,
    LabeledFewShot,
    LMOutput,
    LMResponse,
    Module,
    Predict,
    Prediction,
    ScriptedLM,
    configure,
    context,
    exact_match,
    settings,
)
from dspex_core.config import Settings
from dspex_core.telemetry.callbacks import ACTIVE_CALL_ID
from dspex_core.telemetry.spans import span

KINDS = ("module", "lm", "adapter_format", "adapter_parse", "tool", "interpreter_execute", "evaluate", "compile")
DEVSET = [Example(question="q", answer="a").with_inputs("question")]


class Recording(BaseCallback):
    """Keeps `(handler, what it was given)` of each call, in order."""

    def __init__(self):
        self.told = []

    def names(self):
        return [name for name, _ in self.told]

    def given(self, name):
        return [given for told, given in self.told if told == name]


def _recorded(name):
    def handler(self, call_id, *args, **kwargs):
        names = ("instance", "inputs") if name.endswith("_start") else ("outputs", "exception")
        told = dict(zip(names, args, strict=False)) | kwargs
        self.told.append((name, {"call_id": call_id, "around": ACTIVE_CALL_ID.get(), **told}))

    return handler


for kind in KINDS:
    for moment in ("start", "end"):
        setattr(Recording, f"on_{kind}_{moment}", _recorded(f"on_{kind}_{moment}"))


def answering(**fields):
    return ScriptedLM(lambda _: fields)


def test_a_call_tells_of_each_component_in_order():
    callback = Recording()

    with context(lm=answering(reasoning="r", answer="a"), callbacks=[callback]):
        prediction = ChainOfThought("question -> answer")(question="q")

    assert callback.names() == [
        "on_module_start",
        "on_module_start",
        "on_adapter_format_start",
        "on_adapter_format_end",
        "on_lm_start",
        "on_lm_end",
        "on_adapter_parse_start",
        "on_adapter_parse_end",
        "on_module_end",
        "on_module_end",
    ]
    assert callback.given("on_module_end")[-1]["outputs"] is prediction


def test_each_handler_is_given_what_dspy_gives_it():
    callback, predict = Recording(), Predict("question -> answer", temperature=0.5)
    predict.demos = [{"question": "1", "answer": "2"}]

    with context(lm=answering(answer="a"), callbacks=[callback]):
        predict(question="q")

    [module], [lm] = callback.given("on_module_start"), callback.given("on_lm_start")
    [form], [read] = callback.given("on_adapter_format_start"), callback.given("on_adapter_parse_start")
    assert (module["instance"], module["inputs"]) == (predict, {"args": (), "kwargs": {"question": "q"}})
    assert isinstance(form["instance"], ChatAdapter)
    assert form["inputs"] == {"signature": predict.signature, "demos": predict.demos, "inputs": {"question": "q"}}
    messages = callback.given("on_adapter_format_end")[0]["outputs"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert lm["inputs"] == {"prompt": None, "messages": messages, "kwargs": {"temperature": 0.5}}
    [text] = callback.given("on_lm_end")[0]["outputs"]
    assert read["inputs"] == {"signature": predict.signature, "completion": text}
    assert callback.given("on_adapter_parse_end")[0]["outputs"] == {"answer": "a"}


def test_demos_that_a_call_chooses_are_told_as_chosen():
    class Second:
        def choose(self, signature, demos, inputs):
            return [1]

    callback, predict = Recording(), Predict("question -> answer")
    predict.demos = [{"question": "1", "answer": "1"}, {"question": "2", "answer": "2"}]
    predict.demo_selector = Second()

    with context(lm=answering(answer="a"), callbacks=[callback]):
        predict(question="q")

    assert callback.given("on_adapter_format_start")[0]["inputs"]["demos"] == [predict.demos[1]]


def test_an_end_has_the_id_of_its_start_and_knows_the_call_around_it():
    callback = Recording()

    with context(lm=answering(reasoning="r", answer="a"), callbacks=[callback]):
        ChainOfThought("question -> answer")(question="q")

    (outer, inner), (lm,) = callback.given("on_module_start"), callback.given("on_lm_start")
    ends = callback.given("on_module_end")
    assert [end["call_id"] for end in ends] == [inner["call_id"], outer["call_id"]]
    assert (outer["around"], inner["around"], lm["around"]) == (None, outer["call_id"], inner["call_id"])
    assert [end["around"] for end in ends] == [outer["call_id"], None]
    assert ACTIVE_CALL_ID.get() is None


def test_an_error_is_told_without_outputs_and_raised():
    callback = Recording()

    with context(lm=ScriptedLM([ValueError("no")]), callbacks=[callback]), pytest.raises(ValueError, match="no"):
        Predict("question -> answer")(question="q")

    for name in ("on_lm_end", "on_module_end"):
        [end] = callback.given(name)
        assert (end["outputs"], str(end["exception"])) == (None, "no")


def test_a_reply_that_cannot_be_read_is_told_at_each_try():
    callback = Recording()

    with context(lm=ScriptedLM(["?", "?"]), callbacks=[callback]), pytest.raises(AdapterParseError):
        Predict("question -> answer")(question="q")

    instances = [type(start["instance"]).__name__ for start in callback.given("on_adapter_parse_start")]
    assert instances == ["ChatAdapter", "JSONAdapter"]
    assert all(isinstance(end["exception"], AdapterParseError) for end in callback.given("on_adapter_parse_end"))


def test_an_adapters_callbacks_are_told_of_its_fallback_too():
    callback = Recording()

    with context(lm=ScriptedLM(["?", '{"answer": "a"}']), adapter=ChatAdapter(callbacks=[callback])):
        Predict("question -> answer")(question="q")

    instances = [type(start["instance"]).__name__ for start in callback.given("on_adapter_format_start")]
    assert instances == ["ChatAdapter", "JSONAdapter"]


def test_an_evaluation_tells_its_result():
    callback, evaluate = Recording(), Evaluate(devset=DEVSET, metric=exact_match("answer"))
    predict = Predict("question -> answer")

    with context(lm=answering(answer="a"), callbacks=[callback]):
        result = evaluate(predict)

    [start], [end] = callback.given("on_evaluate_start"), callback.given("on_evaluate_end")
    assert start["instance"] is evaluate
    assert start["inputs"]["program"] is predict
    assert start["inputs"]["devset"] == DEVSET
    assert end["outputs"].mean == result.mean == 1.0
    assert callback.given("on_module_start")[0]["around"] == start["call_id"]  # in a thread of its own


def test_an_evaluation_that_is_given_up_tells_how_far_it_got():
    callback, evaluate = Recording(), Evaluate(devset=DEVSET, metric=exact_match("answer"), max_errors=0)

    with context(lm=ScriptedLM([]), callbacks=[callback]), pytest.raises(EvaluationError):
        evaluate(Predict("question -> answer"))

    [end] = callback.given("on_evaluate_end")
    assert isinstance(end["exception"], EvaluationError)
    assert len(end["outputs"].errors) == 1


def test_a_compilation_tells_its_program():
    callback, optimizer, student = Recording(), LabeledFewShot(k=1), Predict("question -> answer")

    with context(callbacks=[callback]):
        program = optimizer.compile(student, trainset=DEVSET)

    [start], [end] = callback.given("on_compile_start"), callback.given("on_compile_end")
    assert start["instance"] is optimizer
    assert start["inputs"] == {"student": student, "trainset": DEVSET, "valset": None}
    assert end["outputs"] is program


def test_a_component_of_ones_own_tells_as_the_built_in_ones_do():
    callback = Recording()

    with context(callbacks=[callback]), span("tool", {"instance": "search", "inputs": {"query": "x"}}) as attributes:
        attributes["result"] = ["found"]

    assert callback.given("on_tool_start")[0]["inputs"] == {"kwargs": {"query": "x"}}
    assert callback.given("on_tool_end")[0]["outputs"] == ["found"]


@pytest.mark.parametrize("attributes", [{"number": 1}, {"instance": "index", "inputs": {"query": "x"}}])
def test_a_span_that_no_handler_is_for_is_not_told(attributes):
    callback = Recording()

    with context(callbacks=[callback]), span("search", attributes):
        pass

    assert callback.told == []


@pytest.mark.parametrize(
    ("make", "handlers"),
    [
        (lambda own: (Predict("question -> answer", callbacks=own), {}), {"on_module_start", "on_module_end"}),
        (
            lambda own: (Predict("question -> answer"), {"adapter": ChatAdapter(callbacks=own)}),
            {f"on_adapter_{kind}_{moment}" for kind in ("format", "parse") for moment in ("start", "end")},
        ),
    ],
    ids=["Predict", "Adapter"],
)
def test_a_components_callbacks_are_told_of_it_alone(make, handlers):
    callback = Recording()
    predict, others = make([callback])

    with context(lm=answering(answer="a"), **others):
        predict(question="q")

    assert set(callback.names()) == handlers


class Echo(BaseLM):
    recordable = False

    def complete(self, request):
        return LMResponse((LMOutput("[[ ## answer ## ]]\nok"),))


def test_an_lms_callbacks_are_told_of_it_alone_and_are_no_sampling_parameter():
    callback = Recording()
    lm = Echo("echo", callbacks=[callback], temperature=0.1)

    with context(lm=lm):
        Predict("question -> answer")(question="q")
    lm.copy(temperature=0.2)("hello")

    assert callback.names() == ["on_lm_start", "on_lm_end"] * 2
    assert [start["inputs"]["kwargs"] for start in callback.given("on_lm_start")] == [
        {"temperature": 0.1},
        {"temperature": 0.2},
    ]
    client = LM("openai/x", callbacks=[callback])
    assert (client.callbacks, client.copy(temperature=1.0).callbacks, client.config) == ([callback], [callback], {})


def test_the_callbacks_of_the_settings_come_before_a_components_own():
    order = []

    class Named(BaseCallback):
        def __init__(self, name):
            self.name = name

        def on_lm_start(self, call_id, instance, inputs):
            order.append(self.name)

    with context(callbacks=[Named("settings")]):
        Echo("echo", callbacks=[Named("own")])("hello")

    assert order == ["settings", "own"]


class Shouting(Module):
    def __init__(self, callbacks=None):
        super().__init__(callbacks)
        self.predict = Predict("question -> answer")

    def forward(self, question):
        return Prediction(answer=self.predict(question=question).answer.upper())


def test_a_users_module_takes_callbacks_and_its_copies_share_them():
    class WithLock(Recording):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()  # cannot be copied

    callback = WithLock()
    program = Shouting(callbacks=[callback])

    with context(lm=answering(answer="a")):
        program("q")
        program.deepcopy()(question="q")
        copy.deepcopy(program.predict)(question="q")

    assert [end["outputs"].answer for end in callback.given("on_module_end")] == ["A", "A"]
    assert callback.given("on_module_start")[0]["inputs"] == {"args": ("q",), "kwargs": {}}


def test_a_callback_that_fails_is_logged_and_harms_nothing(caplog, capfd):
    class Broken(BaseCallback):
        def on_lm_start(self, call_id, instance, inputs):
            raise RuntimeError("broken callback")

    after = Recording()
    with context(lm=answering(answer="a"), callbacks=[Broken(), after]):
        assert Predict("question -> answer")(question="q").answer == "a"

    assert "broken callback" in caplog.text
    assert {record.name for record in caplog.records} == {"dspex"}
    assert "on_lm_start" in after.names()
    assert capfd.readouterr().out == ""


def test_async_calls_keep_their_callers_apart():
    callback = Recording()

    async def two():
        program = ChainOfThought("question -> answer")
        await asyncio.gather(program.acall(question="1"), program.acall(question="2"))

    with context(lm=answering(reasoning="r", answer="a"), callbacks=[callback]):
        asyncio.run(two())

    starts = callback.given("on_module_start")
    outer = {start["call_id"] for start in starts if start["around"] is None}
    assert len(outer) == 2
    assert {start["around"] for start in starts if start["around"] is not None} == outer


def test_they_are_configured_for_the_process_too():
    callback = Recording()
    configure(callbacks=[callback])
    try:
        assert settings.callbacks == [callback]
        Echo("echo")("hello")
    finally:
        configure(callbacks=Settings().callbacks)
    Echo("echo")("hello")
    assert callback.names() == ["on_lm_start", "on_lm_end"]
