"""Programs, examples and predictions answer alike in DSPy and in ours: code of users, run with either."""

import copy

import pytest
from both import chat, in_real, refused, scripted, uses

use, USES = uses()


def program(dspy):
    class Inner(dspy.Module):
        def __init__(self):
            super().__init__()
            self.first = dspy.Predict("q -> a")
            self.others = [dspy.Predict("q -> b"), dspy.ChainOfThought("q -> c")]

        def forward(self, q):
            return self.first(q=q)

    class Outer(dspy.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
            self.by_name = {"x": dspy.Predict("q -> d")}
            self.size = 3

        def forward(self, q):
            return self.inner(q=q)

    return Outer()


@use
def parts_by_name(dspy):
    made = program(dspy)
    return (
        [name for name, _ in made.named_predictors()],
        len(made.predictors()),
        sorted(name for name, _ in made.named_parameters()),
        len(made.parameters()),
        [type(part).__name__ for _, part in made.named_sub_modules()],
        [name for name, _ in made.named_sub_modules()],
        [name for name, _ in made.named_sub_modules(type_=dspy.Predict)],
    )


@use
def parts_of_a_predictor(dspy):
    made = dspy.Predict("q -> a")
    return (
        [name for name, _ in made.named_parameters()],
        [name for name, _ in made.named_predictors()],
        len(made.parameters()),
    )


@use
def parts_that_are_skipped(dspy):
    made = program(dspy)
    made.inner._compiled = True
    return [name for name, _ in made.named_sub_modules(skip_compiled=True)]


@use
def compiled_parts_are_frozen(dspy):
    made = program(dspy)
    before = made._compiled
    made.inner._compiled = True
    return before, [name for name, _ in made.named_parameters()], made._compiled


@use
def whether_it_is_compiled(dspy):
    rows = [dspy.Example(q="1", a="2").with_inputs("q")]
    made = dspy.Predict("q -> a")
    with dspy.context(lm=scripted(dspy, [chat(a="2")] * 4), adapter=dspy.ChatAdapter()):
        return dspy.BootstrapFewShot(max_labeled_demos=0).compile(made, trainset=rows)._compiled, made._compiled


@use
def a_compiled_student(dspy):
    rows = [dspy.Example(q="1", a="2").with_inputs("q")] * 2
    made = dspy.LabeledFewShot(k=2).compile(dspy.Predict("q -> a"), trainset=rows)
    return made._compiled if hasattr(made, "_compiled") else None, len(made.demos)


@use
def lms(dspy):
    made, lm = program(dspy), scripted(dspy, [])
    made.set_lm(lm)
    made.others = dspy.Predict("q -> a")
    return made.inner.get_lm() is lm, refused(made.get_lm, ValueError), all(p.lm is lm for p in made.inner.predictors())


@use
def copies(dspy):
    made = program(dspy)
    made.inner.first.demos = [dspy.Example(q="1", a="2")]
    deep, reset, again = made.deepcopy(), made.reset_copy(), copy.deepcopy(made)
    return (
        deep.inner.first is not made.inner.first,
        [dict(demo) for demo in deep.inner.first.demos],
        [len(each) for each in (reset.inner.first.demos, again.inner.first.demos, made.inner.first.demos)],
        deep.size,
    )


@use
def changed_predictors(dspy):
    made = program(dspy)
    back = made.map_named_predictors(
        lambda predictor: dspy.Predict(predictor.signature.append("more", dspy.OutputField()))
    )
    return back is made, [list(part.signature.output_fields)[-1] for part in made.predictors()]


@use
def configs(dspy):
    made = dspy.Predict("q -> a", temperature=0.5, max_tokens=9)
    before = made.get_config()
    made.update_config(temperature=0.9, n=2)
    return before, made.config, made.get_config()


@use
def resets(dspy):
    made = dspy.Predict("q -> a")
    made.demos, made.lm = [{"q": "1", "a": "2"}], scripted(dspy, [])
    made.reset()
    return list(made.demos), made.lm


@use
def states(dspy):
    made, other = dspy.Predict("q -> a"), dspy.Predict("q -> a")
    made.demos = [dspy.Example(q="1", a="2")]
    state = made.dump_state()
    back = other.load_state(state)
    return (
        back is other,
        [dict(demo) for demo in other.demos],
        state["demos"],
        program(dspy).load_state(program(dspy).dump_state()),
    )


@use
def appended_demos(dspy):
    made = dspy.Predict("q -> a")
    made.demos.append(dspy.Example(q="1", a="2"))
    made.demos.extend([{"q": "3", "a": "4"}])
    made.demos += [{"q": "5", "a": "6"}]
    made.demos.insert(0, {"q": "0", "a": "0"})
    return len(made.demos), [demo["q"] for demo in made.demos], made.demos[-1]["a"]


@use
def changed_demos(dspy):
    made = dspy.Predict("q -> a")
    made.demos = [{"q": str(number), "a": "x"} for number in range(6)]
    made.demos[0] = {"q": "new", "a": "y"}
    del made.demos[1]
    made.demos[1:3] = [{"q": "slice", "a": "z"}]
    last = made.demos.pop()
    made.demos.reverse()
    some = made.demos[:2]
    return (
        [demo["q"] for demo in made.demos],
        last["q"],
        [demo["q"] for demo in some],
        made.demos.index({"q": "new", "a": "y"}),
    )


@use
def demos_as_a_list(dspy):
    made = dspy.Predict("q -> a")
    made.demos = [{"q": "1", "a": "2"}]
    more = made.demos + [{"q": "3", "a": "4"}]  # noqa: RUF005  as people write it
    return (
        isinstance(made.demos, list),
        made.demos == [{"q": "1", "a": "2"}],
        len(more),
        len(made.demos),
        bool(dspy.Predict("q -> a").demos),
        dspy.Predict("q -> a").demos == [],
        {"q": "1", "a": "2"} in made.demos,
        (made.demos * 2)[1]["a"],
    )


@use
def cleared_demos(dspy):
    made = dspy.Predict("q -> a")
    made.demos = [{"q": "1", "a": "2"}]
    made.demos.clear()
    return list(made.demos)


@use
def copied_demos(dspy):
    made = dspy.Predict("q -> a")
    made.demos.append({"q": "1", "a": "2"})
    other = made.deepcopy()
    other.demos.append({"q": "3", "a": "4"})
    made.demos.append({"q": "5", "a": "6"})
    return [demo["q"] for demo in made.demos], [demo["q"] for demo in other.demos]


@use
def appended_demos_are_in_the_prompt(dspy):
    made = dspy.Predict("q -> a")
    with dspy.context(lm=scripted(dspy, {"[[ ## q ## ]]": chat(a="yes")}), adapter=dspy.ChatAdapter()):
        made(q="first")
        made.demos.append({"q": "shown", "a": "yes"})
        made(q="second")
    messages = dspy.ChatAdapter().format(made.signature, made.demos, {"q": "third"})
    return len(messages), "shown" in messages[1]["content"]


@use
def demos_read_as_dicts(dspy):
    rows = [dspy.Example(q="1", a="2").with_inputs("q")]
    made = dspy.LabeledFewShot(k=1).compile(dspy.Predict("q -> a"), trainset=rows)
    [demo] = made.demos
    return demo["q"], demo.q, demo.get("a"), dict(demo), demo.toDict(), "a" in demo


@use
def bootstrapped_demos_read_as_dicts(dspy):
    rows = [dspy.Example(q="1", a="2").with_inputs("q")]
    with dspy.context(lm=scripted(dspy, [chat(a="2")] * 4), adapter=dspy.ChatAdapter()):
        made = dspy.BootstrapFewShot(metric=lambda *_: True, max_labeled_demos=0).compile(
            dspy.Predict("q -> a"), trainset=rows
        )
    [demo] = made.demos
    return demo["q"], demo.a


@use
def many_at_once(dspy):
    rows = [dspy.Example(q=str(number)).with_inputs("q") for number in range(3)]
    with dspy.context(lm=scripted(dspy, {"[[ ## q ## ]]": chat(a="yes")}), adapter=dspy.ChatAdapter()):
        made = dspy.Predict("q -> a")
        found = made.batch(rows, num_threads=2, disable_progress_bar=True)
        three = made.batch(rows, return_failed_examples=True, provide_traceback=False, max_errors=3)
    return [each.a for each in found], len(three), [each.a for each in three[0]], three[1:]


@use
def programs_in_words(dspy):
    return (
        "first" in repr(program(dspy)),
        "Predict" in repr(dspy.Predict("q -> a")),
        "q -> a" in str(dspy.Predict("q -> a")),
    )


@use
def examples_hide_what_is_of_dspy(dspy):
    row = dspy.Example(a=1, dspy_uuid="u", dspy_split="train")
    return (
        list(row.keys()),
        list(row.values()),
        list(row.items()),
        len(row),
        list(row.keys(include_dspy=True)),
        list(row.items(include_dspy=True)),
        row.dspy_uuid,
        "dspy_uuid" in row,
        row.toDict(),
        row == dspy.Example(a=1, dspy_uuid="u", dspy_split="train"),
    )


@use
def examples(dspy):
    row = dspy.Example({"a": 1, "b": 2}, c=3)
    row.d = 4
    row["e"] = 5
    del row["a"]
    other = dspy.Example(base=row, f=6)
    return (
        row.toDict(),
        other.toDict(),
        row.copy(b=7).b,
        row.b,
        row.get("none"),
        row.get("none", 8),
        refused(lambda: row.none, AttributeError),
        refused(lambda: row["none"], KeyError),
        list(iter(row)),
        "c" in row,
        row.without("b", "c").toDict(),
        hash(row) == hash(row.copy()),
        row != other,
    )


@use
def inputs_of_examples(dspy):
    row = dspy.Example(q="1", a="2", note="n").with_inputs("q")
    return (
        row.inputs().toDict(),
        row.labels().toDict(),
        refused(lambda: dspy.Example(q="1").inputs(), ValueError),
        isinstance(row.inputs(), dspy.Example),
        refused(lambda: dspy.Example(row).inputs(), ValueError),
        row.with_inputs("q", "note").inputs().toDict(),
        row.with_inputs().inputs().toDict(),
    )


@use
def examples_in_words(dspy):
    return (
        "q" in repr(dspy.Example(q="1")),
        "Prediction" in repr(dspy.Prediction(a=1)),
    )


@use
def nested_examples_as_dicts(dspy):
    return dspy.Example(a=dspy.Example(b=1), c=[dspy.Example(d=2)], e={"f": dspy.Example(g=3)}).toDict()


@use
def predictions_with_a_score(dspy):
    low, high = dspy.Prediction(score=0.25), dspy.Prediction(score=0.75)
    return (
        float(low),
        low + high,
        low + 1,
        1 + low,
        sum([low, high]),
        low / 2,
        high / low,
        1 / low,
        low < high,
        low <= 0.25,
        high > 0.5,
        high >= low,
        refused(lambda: float(dspy.Prediction(a=1)), ValueError, TypeError),
        refused(lambda: low + "x", TypeError),
        refused(lambda: low / "x", TypeError),
        refused(lambda: low < "x", TypeError),
    )


@use
def made_of_completions(dspy):
    made = dspy.Prediction.from_completions([{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    columns = dspy.Prediction.from_completions({"a": [1, 3], "b": [2, 4]})
    return (
        made.a,
        made.completions.a,
        made.completions[1].b,
        len(made.completions),
        columns.b,
        columns.completions.b,
        dict(made.completions.items()),
        "a" in made.completions,
        "c" in made.completions,
        refused(lambda: made.completions.c, AttributeError),
        dspy.Prediction.from_completions([{"a": 1}]).completions.a,
    )


@use
def completions(dspy):
    made = dspy.Completions([{"a": 1}, {"a": 2}])
    return made.a, made[0].a, made["a"], len(made), isinstance(made[1], dspy.Prediction), dspy.Completions({"a": [5]}).a


@use
def completions_with_a_signature(dspy):
    kind = dspy.Signature("q -> a")
    return dspy.Completions([{"a": "1"}], signature=kind).a, dspy.Prediction.from_completions(
        [{"a": "1"}], signature=kind
    ).a


@use
def predictions_of_a_program(dspy):
    with dspy.context(lm=scripted(dspy, [chat(a="yes")]), adapter=dspy.ChatAdapter()):
        found = dspy.Predict("q -> a")(q="?")
    return (
        found.a,
        found["a"],
        list(found.keys()),
        found.toDict(),
        found.get_lm_usage(),
    )


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
