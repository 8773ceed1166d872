"""Arguments by DSPy's names and in DSPy's order, options of one call, and names that `import *` takes."""

import inspect
from pathlib import Path

import pytest
from both import asking, chat, dummy, in_real, module, scripted, sent_to, uses

from dspex_core.dspy_paths import top_level

use, USES = uses()
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def rows(dspy, count=2):
    return [dspy.Example(q=str(number), a=str(number)).with_inputs("q") for number in range(count)]


def echoes(dspy):
    return dspy.context(lm=dummy(dspy, {str(n): {"a": str(n)} for n in range(4)}), adapter=dspy.ChatAdapter())


@use
def demos_of_one_call(dspy):
    lm, predict = scripted(dspy, [chat(a="1"), chat(a="2")]), dspy.Predict("q -> a")
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        predict(q="x", demos=[dspy.Example(q="shown", a="yes")])
        first = [message["role"] for message in sent_to(lm)]
        predict(q="x")
    return first, [message["role"] for message in sent_to(lm)], list(predict.demos)


@use
def demos_of_one_call_that_are_none(dspy):
    lm, predict = scripted(dspy, [chat(a="1")]), dspy.Predict("q -> a")
    predict.demos = [dspy.Example(q="hidden", a="no")]
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        predict(q="x", demos=[])
    return len(sent_to(lm)), len(predict.demos)


@use
def the_signature_of_one_call(dspy):
    predict, trace = dspy.Predict("q -> a"), []
    with asking(dspy, [{"b": "1"}, {"reasoning": "r", "c": "2"}], trace=trace):
        found = predict(q="x", signature="q -> b").b, dspy.ChainOfThought("q -> a").predict.signature.signature
    return found, predict.signature.signature, trace[0][0] is predict


@use
def inputs_that_have_the_names_of_options(dspy):
    lm = scripted(dspy, [chat(a="1")])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        found = dspy.Predict("demos_shown, q -> a")(q="x", demos_shown="some").a
    return found, "some" in sent_to(lm)[-1]["content"]


@use
def examples_are_followed(dspy):
    with dspy.context(lm=dummy(dspy, [{"a": "else"}], follow_examples=True), adapter=dspy.ChatAdapter()):
        return dspy.Predict("q -> a")(q="one", demos=[dspy.Example(q="one", a="ONE")]).a


@use
def handlers_with_arguments_by_name(dspy):
    seen = []

    def handler(name):
        return lambda self, call_id=None, **given: seen.append((name, sorted(given)))

    parts = ["module", "lm", "adapter_format", "adapter_parse", "tool"]
    names = [f"on_{part}_{moment}" for part in parts for moment in ("start", "end")]
    callback = type("Seeing", (module(dspy, "utils").BaseCallback,), {name: handler(name) for name in names})
    with asking(dspy, [{"a": "1"}], callbacks=[callback()]):
        dspy.Predict("q -> a")(q="x")
        dspy.Tool(lambda x: x, name="same")(x=1)
    return seen


@use
def adapters_in_order(dspy):
    made = [dspy.ChatAdapter(None, True), dspy.JSONAdapter([], False), dspy.XMLAdapter([])]  # noqa: FBT003  by position
    return [(adapter.use_native_function_calling, list(adapter.callbacks)) for adapter in made]


@use
def replies_by_name(dspy):
    made = [(dspy.ChatAdapter(), chat(a=1)), (dspy.JSONAdapter(), '{"a": 1}'), (dspy.XMLAdapter(), "<a>1</a>")]
    signature = dspy.Signature("q -> a: int")
    return [adapter.parse(signature=signature, completion=reply) for adapter, reply in made]


@use
def optimizers_in_order(dspy):
    def metric(*_):
        return 1

    bootstrap = dspy.BootstrapFewShot(metric, 0.5, {}, 1, 2, 3, 4)
    search = dspy.BootstrapFewShotWithRandomSearch(metric, {}, 1, 2, 3, 4, 5)
    names = ["metric_threshold", "max_bootstrapped_demos", "max_labeled_demos", "max_rounds", "max_errors"]
    mine = [getattr(bootstrap, name) for name in names]
    return mine, search.max_labeled_demos, search.max_rounds, search.num_threads


@use
def an_optimizer_of_instructions_in_order(dspy):
    with asking(dspy, []):
        made = dspy.MIPROv2(lambda *_: 1, None, None, {}, 1, 2, "medium", None, 3)
    return made.max_labeled_demos, made.auto, made.num_threads


@use
def an_lm_in_order(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", "chat", 0.5, 50, True, None, 7)  # noqa: FBT003  by position
    return lm.kwargs, lm.num_retries


@use
def files_by_name(dspy):
    contents = {"page.txt": b"text", "tone.wav": b"RIFF", "dot.png": b"\x89PNG\r\n\x1a\n"}
    for name, content in contents.items():
        Path(name).write_bytes(content)
    file = dspy.File.from_path(file_path="page.txt", filename="other.txt")
    return (
        file.format(),
        dspy.File.from_bytes(file_bytes=b"abc").format(),
        dspy.Audio.from_path(file_path="tone.wav").data,
        dspy.Image.from_path(file_path="dot.png").url[:22],
    )


@use
def small_functions_by_name(dspy):
    image, aggregation = module(dspy, "adapters.types.image"), module(dspy, "predict.aggregation")
    f1_score = module(dspy, "evaluate.auto_evaluation").f1_score
    seen = []
    dspy.ChainOfThought("q -> a").map_named_predictors(func=lambda predict: seen.append(1) or predict)
    return (
        image.is_image(obj=PIXEL),
        aggregation.default_normalize(s="A Cat!"),
        f1_score(precision=0.5, recall=1.0),
        dspy.infer_prefix(attribute_name="someName"),
        dspy.make_signature("q -> a: Kind", None, "Named", {"Kind": int}).__name__,
        dspy.Signature("q -> a", "One.").append_instructions(instructions="Two.").instructions,
        dspy.settings.get(key="num_threads"),
        seen,
    )


@use
def settings_of_dspys_own(dspy):
    notes = {"branch_idx": 0, "caller_modules": None, "caller_predict": None, "stream_listeners": []}
    with dspy.context(**notes, num_threads=3):
        return dspy.settings.num_threads, dspy.settings.branch_idx, "caller_predict" in dspy.settings


@use
def fields_as_a_model_has_them(dspy):
    fields = dspy.Signature("q, b -> a: int").model_fields
    return list(fields), fields["q"].is_required(), fields["a"].annotation


@use
def a_result_by_its_keys(dspy):
    with echoes(dspy):
        result = dspy.Evaluate(devset=rows(dspy), metric=lambda *_: 1, num_threads=1)(dspy.Predict("q -> a"))
    return result["score"], len(result["results"]), sorted(result.toDict()), sorted(dict(result))


@use
def a_call_of_a_scripted_lm(dspy):
    lm = dummy(dspy, [{"a": "1"}])
    lm(messages=[{"role": "user", "content": "x"}])
    messages, outputs = lm.get_convo(-1)
    return messages, len(outputs)


@use
def traced_runs(dspy):
    with echoes(dspy):
        found = dspy.bootstrap_trace_data(dspy.Predict("q -> a"), rows(dspy), lambda e, p, trace=None: e.a == p.a, 1)
    return [
        (run["example_ind"], run["example"].q, run["prediction"].a, run["score"], len(run["trace"]), run["trace"][0][1])
        for run in found
    ]


@use
def a_traced_run_whose_reply_cannot_be_read(dspy):
    trace_data = module(dspy, "teleprompt.bootstrap_trace").bootstrap_trace_data
    predict = dspy.Predict("q -> a")
    with dspy.context(lm=scripted(dspy, ["junk", "junk"]), adapter=dspy.ChatAdapter()):
        [run] = trace_data(predict, rows(dspy, 1), lambda *_: 1.0, num_threads=1, raise_on_error=False)
    asker, inputs, failed = run["trace"][-1]
    return type(run["prediction"]).__name__, failed.completion_text, run["score"], asker is predict, inputs


@use
def a_traced_run_that_raises(dspy):
    class Raising(dspy.Module):
        def forward(self, q):
            raise ValueError(f"no {q}")

    trace_data = module(dspy, "teleprompt.bootstrap_trace").bootstrap_trace_data
    [kept] = trace_data(Raising(), rows(dspy, 1), num_threads=1, capture_crashes=True)
    return kept["prediction"].completion_text, trace_data(Raising(), rows(dspy, 1), None, 1, raise_on_error=False)


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert use(ours) == in_real(use, real)


def test_a_traced_run_raises_the_programs_own_error(ours):
    def raising(q):
        raise KeyError(q)

    with pytest.raises(KeyError, match="0"):
        ours.bootstrap_trace_data(raising, rows(ours))


def test_import_star_takes_every_name_that_is_there(ours, real):
    names, theirs = {}, {}
    exec("from dspex_core import *", names)
    exec("from dspy import *", theirs)

    wanted = {name for name, value in theirs.items() if name[0] != "_" and not inspect.ismodule(value)}
    assert {name for name in wanted if hasattr(ours, name)} <= names.keys()
    assert {*top_level.__all__, "cache", "DSPY_CACHE"} <= names.keys()
