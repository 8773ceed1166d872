"""Small programs as users write them, and what they read of the results: the same in DSPy and in ours."""

import asyncio
import copy
import datetime as dt
import enum
import json
import pickle

import pytest
from both import chat, dummy, module, scripted, sent_to, uses

from dspex_core.plain.attributes import attributes

use, USES = uses()


def completion(text):
    """Make a reply like those of OpenAI's client."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return attributes({"choices": [choice], "usage": usage, "model": "m"})


@use
def rag_with_own_retriever_subclass(dspy):
    class Files(dspy.Retrieve):
        def __init__(self, docs, k=2):
            super().__init__(k=k)
            self.docs = docs

        def forward(self, query, k=None):
            k = k or self.k
            hits = sorted(self.docs, key=lambda d: -sum(w in d for w in query.split()))[:k]
            return dspy.Prediction(passages=hits)

    class RAG(dspy.Module):
        def __init__(self):
            super().__init__()
            self.retrieve = Files(["a cat sat", "a dog ran", "cat and dog"])
            self.answer = dspy.ChainOfThought("context, question -> answer")

        def forward(self, question):
            ctx = self.retrieve(question).passages
            return dspy.Prediction(context=ctx, answer=self.answer(context=ctx, question=question).answer)

    with dspy.context(lm=scripted(dspy, [chat(reasoning="r", answer="yes")]), adapter=dspy.ChatAdapter()):
        p = RAG()(question="cat dog")
    return p.context, p.answer, p.keys()


@use
def rm_returning_dotdicts(dspy):
    dotdict = module(dspy, "dsp.utils").dotdict

    class RM:
        def __call__(self, query, k=3, **kw):
            return [dotdict({"long_text": f"{query} {i}", "score": i}) for i in range(k)]

    with dspy.context(rm=RM()):
        return dspy.Retrieve(k=2)("q").passages


@use
def signature_edits(dspy):
    class S(dspy.Signature):
        """Do it."""

        q: str = dspy.InputField()
        a: str = dspy.OutputField(desc="the answer")

    t = S.with_instructions("Do that.")
    u = (
        t.append("b", dspy.OutputField(desc="more"), type_=int)
        .prepend("ctx", dspy.InputField(), type_=list[str])
        .insert(1, "m", dspy.InputField())
    )
    v = u.delete("m").with_updated_fields("a", desc="new", type_=float)
    return (
        t.instructions,
        S.instructions,
        list(u.fields),
        list(u.input_fields),
        list(u.output_fields),
        u.signature,
        list(v.fields),
        v.fields["a"].annotation,
        v.output_fields["a"].json_schema_extra["desc"],
        list(S.fields),
        S.with_instructions("x") == t,
        v.delete("nope").signature,
    )


@use
def signature_insert_negative(dspy):
    given = dspy.Signature("a, b -> c, d")
    return (
        list(given.insert(-1, "x", dspy.OutputField(), str).fields),
        list(given.insert(0, "y", dspy.OutputField(), str).fields),
        list(given.insert(-1, "z", dspy.InputField()).fields),
    )


@use
def evaluate_with_result_access(dspy):
    devset = [dspy.Example(q=str(i), a=str(i % 2)).with_inputs("q") for i in range(4)]
    prog = dspy.Predict("q -> a")
    lm = scripted(dspy, {str(i): chat(a="0") for i in range(4)})
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        r = dspy.Evaluate(devset=devset, metric=lambda e, p, t=None: e.a == p.a, num_threads=2)(prog)
    ex, pred, score = r.results[0]
    return (
        r.score,
        float(r.score),
        r["score"],
        r.get("score"),
        r.get("nope", 3),
        "score" in r,
        sorted(r.keys()),
        ex.q,
        pred.a,
        bool(score),
        [n for n, _ in r.items()],
        len(r.values()),
    )


@use
def custom_adapter_format_parse(dspy):
    class Simple(dspy.Adapter):
        def format(self, signature, demos, inputs):
            return [
                {"role": "system", "content": signature.instructions},
                {"role": "user", "content": json.dumps(inputs)},
            ]

        def parse(self, signature, completion):
            return {n: completion.upper() for n in signature.output_fields}

    lm = scripted(dspy, ["hi"])
    with dspy.context(lm=lm, adapter=Simple()):
        p = dspy.Predict("q -> a")(q="x")
    return p.a, sent_to(lm)[1]


@use
def usage_tracking(dspy):
    class L(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kw):
            return completion(chat(a="1"))

    with dspy.context(lm=L("m"), adapter=dspy.ChatAdapter(), track_usage=True):
        p = dspy.Predict("q -> a")(q="1")
        with dspy.track_usage() as t:
            dspy.Predict("q -> a")(q="1")
            dspy.Predict("q -> a")(q="2")
    u = p.get_lm_usage()
    return (
        {m: {k: v for k, v in d.items() if v} for m, d in u.items()},
        {m: {k: v for k, v in d.items() if v} for m, d in t.get_total_tokens().items()},
        len(t.usage_data["m"]),
    )


@use
def batch(dspy):
    lm = scripted(dspy, {"x": chat(a="1"), "y": chat(a="2")})
    prog = dspy.Predict("q -> a")
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        rows = [dspy.Example(q="x").with_inputs("q"), dspy.Example(q="y").with_inputs("q")]
        a = [p.a for p in prog.batch(rows, num_threads=2, disable_progress_bar=True)]
        b = prog.batch(
            [*rows, dspy.Example(q="zzz").with_inputs("q")],
            num_threads=1,
            return_failed_examples=True,
            disable_progress_bar=True,
            max_errors=5,
        )
    return a, [getattr(x, "a", None) for x in b[0]], [e.q for e in b[1]], len(b[2])


@use
def tool_attributes(dspy):
    def f(x: int, y: str = "a") -> str:
        "Does f."
        return f"{x}{y}"

    t = dspy.Tool(f, arg_desc={"x": "a number"})
    return t.name, t.desc, t.args, t.arg_types, t.arg_desc, t.has_kwargs, t(x=1), t.func is f, dspy.Tool(f).arg_desc


@use
def example_api(dspy):
    e = dspy.Example(a=1, b="x", dspy_uuid="u").with_inputs("a")
    f = e.copy(c=3)
    return (
        e.keys(),
        e.values(),
        e.items(),
        e.inputs().keys(),
        e.labels().items(),
        len(e),
        "a" in e,
        e.get("z"),
        e.get("z", 5),
        e.without("b").keys(),
        f.keys(),
        e.toDict(),
        e["a"],
        e == dspy.Example(a=1, b="x", dspy_uuid="u"),
        list(e),
        dict(e),
        {**e.inputs()},
        e.keys(include_dspy=True),
    )


@use
def prediction_api(dspy):
    p = dspy.Prediction(score=0.5, a=[1])
    return (
        p.keys(),
        p.items(),
        p.values(),
        p.toDict(),
        float(p),
        p + 1,
        p < 0.7,
        p / 2,
        sum([p, p]),
        repr(dspy.Prediction(a=1)).replace("\n", "").replace(" ", ""),
        p.get("a"),
        p.get("b", 2),
        "a" in p,
        len(p),
        list(p),
    )


@use
def adapter_parse_error_attributes(dspy):
    error = module(dspy, "utils.exceptions").AdapterParseError
    made = error("ChatAdapter", dspy.Signature("q -> a"), "text")
    try:
        dspy.ChatAdapter().parse(dspy.Signature("q -> a, b"), "[[ ## a ## ]]\nx")
    except error as err:
        return (
            err.adapter_name,
            err.lm_response,
            err.parsed_result,
            list(err.signature.output_fields),
            made.parsed_result,
        )


@use
def copying_lms(dspy):
    lm = dspy.LM("openai/m", api_key="k", temperature=0.3, max_tokens=5)
    c = lm.copy(temperature=0.9, rollout_id=7)
    return (
        c.kwargs["temperature"],
        lm.kwargs["temperature"],
        c.kwargs.get("rollout_id"),
        c.model,
        c.history == [],
        lm.kwargs.get("max_tokens"),
        lm.model_type,
        lm.cache,
        lm.num_retries,
    )


@use
def history_equals_list(dspy):
    lm = dummy(dspy, [{"a": "1"}])
    one = lm.history == []
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        dspy.Predict("q -> a")(q="x")
    n = len(lm.history)
    lm.history.clear()
    return one, n, lm.history == [], bool(lm.history), lm.history[-1:] == []


@use
def custom_lm_forward_sync_async(dspy):
    class L(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kw):
            return completion(chat(a="sync"))

        async def aforward(self, prompt=None, messages=None, **kw):
            return completion(chat(a="async"))

    lm = L("m")
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        p = dspy.Predict("q -> a")
        return (
            p(q="x").a,
            asyncio.run(p.acall(q="x")).a,
            lm("hi")[0][:5],
            len(lm.history),
            lm.history[-1]["usage"]["total_tokens"],
            lm.history[-1]["prompt"],
        )


@use
def typed_lm(dspy):
    class L(dspy.BaseLM):
        forward_contract = "typed_lm"

        def forward(self, request):
            return dspy.LMResponse.from_text(chat(a=f"{len(request.messages)}"), model=request.model)

    with dspy.context(lm=L("m"), adapter=dspy.ChatAdapter()):
        return dspy.Predict("q -> a")(q="x").a, L("m")("hi")


@use
def own_teleprompter(dspy):
    base = module(dspy, "teleprompt").Teleprompter

    class Mine(base):
        def compile(self, student, *, trainset, teacher=None, valset=None, **kw):
            s = student.reset_copy()
            for p in s.predictors():
                p.demos = trainset[:1]
            return s

    s = Mine().compile(dspy.Predict("q -> a"), trainset=[dspy.Example(q="1", a="2").with_inputs("q")])
    return [dict(d) for d in s.demos]


@use
def trace_in_metric(dspy):
    seen = []

    def metric(e, p, trace=None):
        seen.append(None if trace is None else [(type(t[0]).__name__, sorted(t[1]), list(t[2].keys())) for t in trace])
        return True

    with dspy.context(lm=scripted(dspy, {"x": chat(reasoning="r", a="1")}), adapter=dspy.ChatAdapter()):
        dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1).compile(
            dspy.ChainOfThought("q -> a"), trainset=[dspy.Example(q="x", a="1").with_inputs("q")]
        )
    return seen


@use
def dummy_lm_modes(dspy):
    make = module(dspy, "utils").DummyLM
    lm = make({"what": {"a": "blue"}, "why": {"a": "because"}})
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        p = dspy.Predict("q -> a")
        one = p(q="why?").a
    lm2 = make([{"a": "ex"}], follow_examples=True)
    with dspy.context(lm=lm2, adapter=dspy.ChatAdapter()):
        p = dspy.Predict("q -> a")
        p.demos = [dspy.Example(q="x", a="from demo")]
        two = p(q="x").a
    return one, two


@use
def module_call_kwargs(dspy):
    class M(dspy.Module):
        def forward(self, x, *, y=2):
            return dspy.Prediction(z=x + y)

    return M()(1).z, M()(x=1, y=5).z, M()(1, y=3).z


@use
def predict_config(dspy):
    seen = []

    class L(dspy.BaseLM):
        def __call__(self, prompt=None, messages=None, **kw):
            seen.append(dict(kw))
            return [chat(a="1")]

    with dspy.context(lm=L("m", temperature=0.2, max_tokens=50), adapter=dspy.ChatAdapter()):
        dspy.Predict("q -> a", temperature=0.9)(q="x")
        dspy.Predict("q -> a")(q="x", config={"temperature": 0.1, "rollout_id": 3})
    return seen


@use
def settings_api(dspy):
    with dspy.context(num_threads=3):
        a = dspy.settings.num_threads
        with dspy.settings.context(num_threads=4):
            b = dspy.settings.num_threads
        c = dspy.settings.num_threads
    return (
        a,
        b,
        c,
        dspy.settings.get("nope", 5),
        "lm" in dspy.settings,
        dspy.settings["max_errors"],
        dspy.settings.get("adapter"),
    )


@use
def optional_and_default_fields(dspy):
    class S(dspy.Signature):
        q: str = dspy.InputField()
        ctx: str | None = dspy.InputField(default=None)
        a: str = dspy.OutputField()
        note: str | None = dspy.OutputField(default=None)

    with dspy.context(lm=scripted(dspy, ["[[ ## a ## ]]\n1\n\n[[ ## completed ## ]]"]), adapter=dspy.ChatAdapter()):
        p = dspy.Predict(S)(q="x")
    return p.a, p.note


@use
def pickled_and_copied(dspy):
    p = dspy.Prediction(a=1)
    e = dspy.Example(q=1).with_inputs("q")
    return pickle.loads(pickle.dumps(e)).inputs().toDict(), copy.deepcopy(p).a, copy.copy(e).q


@use
def enum_and_dataclass_outputs(dspy):
    class Color(enum.Enum):
        RED = "red"
        BLUE = "blue"

    class S(dspy.Signature):
        q: str = dspy.InputField()
        color: Color = dspy.OutputField()
        when: dt.date = dspy.OutputField()
        u: int | str = dspy.OutputField()
        pair: tuple[int, str] = dspy.OutputField()

    with dspy.context(
        lm=scripted(dspy, [chat(color="red", when="2024-01-02", u="5", pair=[1, "x"])]), adapter=dspy.ChatAdapter()
    ):
        p = dspy.Predict(S)(q="x")
    return p.color.name, p.when, p.u, p.pair


@pytest.mark.parametrize("use", USES)
def test_the_same(use, ours, real):
    assert repr(use(ours)) == repr(use(real))
