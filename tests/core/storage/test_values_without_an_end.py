"""Values that hold themselves or have no JSON text, and what is not a path: one clear message each."""

from pathlib import Path

import pytest

import dspex_core
from dspex_core import (
    BM25,
    KNN,
    LM,
    ArtifactError,
    Evaluate,
    EvaluationResult,
    Example,
    History,
    InputField,
    Judge,
    LMRequest,
    Module,
    MultiChainComparison,
    OutputField,
    Predict,
    Prediction,
    Score,
    ScriptedLM,
    Signature,
    SignatureError,
    classification_report,
    context,
    exact_match,
    json_match,
    load_dataset,
    trajectory_match,
)
from dspex_core.lm.request_cache import Cache


class Unshown:
    def __repr__(self):
        raise ValueError("no text")

    __str__ = __repr__


def itself(made):
    made = made()
    if isinstance(made, list):
        made.append(made)
    else:
        made["inner"] = made
    return made


def deep():
    found = []
    for _ in range(5000):
        found = [found]
    return found


VALUES = {"dict": itself(dict), "list": itself(list), "example": itself(Example), "deep": deep()}
TEXTLESS = {
    "dict": VALUES["dict"],
    "list": VALUES["list"],
    "deep": VALUES["deep"],
    "unshown": Unshown(),
    "bytes": b"\xff",
    "big": 10**5000,
}
WITH_HISTORY = Signature(
    {"q": (str, InputField()), "history": (History, InputField()), "a": (str, OutputField())}, "Answer."
)


@pytest.mark.parametrize("value", TEXTLESS.values(), ids=TEXTLESS)
@pytest.mark.parametrize("signature", ["q -> a", "q: dict -> a"])
def test_what_cannot_be_written_in_a_prompt_is_named(value, signature):
    program = Predict(signature)
    with context(lm=ScriptedLM({})):
        with pytest.raises(SignatureError, match="cannot be written in a prompt"):
            program(q=value)
        program.demos = [Example(q=value, a="x")]
        with pytest.raises(SignatureError, match="cannot be written in a prompt"):
            program(q="x")
        with pytest.raises(SignatureError):
            Predict(WITH_HISTORY)(q="x", history=History(messages=[{"q": value, "a": "y"}]))


def test_an_example_that_holds_itself_is_shown_and_has_no_plain_form():
    assert repr(VALUES["example"]) == "Example(inner=...)"
    for value in VALUES.values():
        with pytest.raises(ValueError, match="holds itself or is nested too deeply"):
            Example(q=value).toDict()


@pytest.mark.parametrize("path", [3, None, b"p.json", ["p.json"], True, "p\0.json", Path("p\0.json")], ids=repr)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_not_a_path_is_one_message(path, whole):
    program = Predict("q -> a")
    with pytest.raises(ArtifactError, match=r"a file is given as its path|has a NUL"):
        program.save(path, save_program=whole)
    with pytest.raises(ArtifactError, match=r"a file is given as its path|has a NUL"):
        dspex_core.load(path) if whole else program.load(path)


def echo(value):
    class Echo(Module):
        def forward(self, q):
            return Prediction(a=value)

    return Echo()


def with_config(value):
    program = Predict("q -> a")
    program.config = {"x": value}
    return program


USES = {
    "a file": (
        lambda v, p: Predict("q -> a").save(p / "p.json", metadata={"n": {"m": v}}),
        r"metadata\.n\.m",
    ),
    "a default": (lambda v, p: Predict(with_default(v)).save(p, save_program=True), "signature"),
    "a state": (lambda v, p: Predict("q -> a").load_state({"demos": v}), "damaged|does not fit"),
    "a call's config": (lambda v, p: with_config(v)(q="x"), "one of 'x'"),
    "an LM's options": (lambda v, p: LM("openai/m", extra_body={"x": v}), "one of 'x'"),
    "a request's key": (lambda v, p: LMRequest((), {"x": v}).key(), "what is sent to an LM"),
    "a cached value": (
        lambda v, p: Cache(enable_disk_cache=False).put({"q": 1}, {"v": v}),
        "cannot be kept in a cache",
    ),
    "a message": (lambda v, p: LM("openai/m", api_key="k")(messages=[{"role": "user", "content": v}]), "a message"),
    "a scripted reply": (lambda v, p: ScriptedLM([{"a": v}])("x"), "a scripted reply"),
    "a metric": (lambda v, p: exact_match("a")({"a": [v]}, {"a": [[v]]}), "the field 'a'"),
    "a metric of JSON": (lambda v, p: json_match("a")({"a": {"x": v}}, {"a": {"x": [v]}}), "the field 'a'"),
    "tool calls": (
        lambda v, p: trajectory_match("a")(*[{"a": [{"name": "f", "args": {"x": each}}]} for each in (v, [v])]),
        "the field 'a'",
    ),
    "a score": (lambda v, p: Score(1, details={"n": v}), "one of 'n'"),
    "a label": (lambda v, p: classification_report([("x", v)]), "is no label"),
    "a corpus": (lambda v, p: BM25(v), "a corpus must be a list of texts"),
    "nearest examples": (lambda v, p: KNN(1, [Example(q=v).with_inputs("q")]), "cannot be compared by 'q'"),
    "attempts": (lambda v, p: MultiChainComparison("q -> a", M=1)([{"reasoning": "r", "a": v}], q="x"), "attempt 1"),
    "a judge": (lambda v, p: Judge("Is it right?")({"q": v}, {"a": "x"}), "a judge cannot read"),
    "a dataset": (lambda v, p: load_dataset([{"q": v}]), "row 1 holds itself or is nested too deeply"),
}


def with_default(value):
    return Signature({"q": (list, InputField(default=value)), "a": (str, OutputField())})


@pytest.mark.parametrize(("use", "message"), USES.values(), ids=USES)
def test_what_cannot_be_walked_to_its_end_is_one_error_that_names_it(use, message, tmp_path):
    with context(lm=ScriptedLM({"": {"a": "x"}})), pytest.raises((ValueError, TypeError), match=message) as raised:
        use(deep(), tmp_path)
    assert "recursion" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_program_may_hold_what_is_nested_deeply():
    program = echo("x")
    program.deep, program.inner = [deep(), with_config(deep())], {"x": (with_config(1),)}
    assert [name for name, _ in program.named_predictors()] == ["deep[1]", "inner['x'][0]"]
    copied = program.deepcopy()
    assert copied.deep[1] is not program.deep[1]
    assert copied.deep[0][0] is not program.deep[0][0]
    assert copied.inner["x"][0].config == {"x": 1}
    assert repr(Example(q=deep())) == "Example(q=<list that holds itself or is nested too deeply>)"
    assert hash(Example(q=deep())) == hash(Example(q=deep()))


def test_an_evaluation_of_deep_outputs_is_kept_and_taken_up(tmp_path):
    rows = [Example(q="x", a="y").with_inputs("q")]
    evaluate = Evaluate(devset=rows, metric=lambda example, prediction, trace=None: 0.5, journal=tmp_path / "run.jsonl")
    first = evaluate(echo(deep()))
    for name in ("r.json", "r.csv"):
        first.save(tmp_path / name)
    for again in (EvaluationResult.load(tmp_path / "r.json"), evaluate(echo(deep()))):
        assert (again.score, again.cases[0].latency) == (50, first.cases[0].latency)
