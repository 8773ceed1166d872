"""Corners of records, votes, threads and few-shot optimizers answer alike in DSPy and in ours."""

import copy

import numpy as np
import pytest
from both import asking, in_real, refused, uses

use, USES = uses()


def rows(dspy, count):
    return [dspy.Example(q=str(number), a=str(number)).with_inputs("q") for number in range(count)]


@use
def an_example_read_in_every_way(dspy):
    row = dspy.Example(a=1, b=[1]).with_inputs("a")
    found = [row.a, row["b"], "a" in row, row.get("z"), row.get("z", 3), len(row)]
    return found, list(row.keys()), list(row.values()), list(row.items()), list(iter(row))


@use
def an_example_changed(dspy):
    row = dspy.Example(a=1, b=2)
    row["c"], row.d = 3, 4
    del row["a"]
    missing = [refused(lambda: row.none, AttributeError), refused(lambda: row["none"], KeyError)]
    return sorted(row.keys()), row.toDict(), missing, refused(row.inputs, ValueError)


@use
def an_example_of_another(dspy):
    row = dspy.Example({"q": 1}, a=2)
    same = dspy.Example(q=1, a=2)
    return (
        row.copy(q=5).q,
        row.q,
        row.without("q").toDict(),
        row == same,
        hash(row) == hash(same),
        dspy.Example(row) == row,
    )


@use
def fields_that_are_hidden(dspy):
    row = dspy.Example(q=1, dspy_uuid="x")
    return list(row.keys()), list(row.keys(include_dspy=True)), len(row), list(row.values()), list(row.items())


@use
def a_prediction_as_a_number(dspy):
    low = dspy.Prediction(a=1, score=0.5)
    without = refused(lambda: float(dspy.Prediction(a=1)), ValueError)
    return float(low), low + 1, 1 + low, low / 2, low < 1, low >= dspy.Prediction(score=0.5), without


@use
def usage_that_is_set(dspy):
    found = dspy.Prediction(a=1)
    before = found.get_lm_usage()
    found.set_lm_usage({"m": {"total_tokens": 1}})
    return (
        before,
        found.get_lm_usage(),
        copy.copy(found).a,
        copy.deepcopy(found).a,
        refused(lambda: found.b, AttributeError),
    )


@use
def completions_in_either_form(dspy):
    listed = dspy.Prediction.from_completions([{"a": 1}, {"a": 2}])
    by_name = dspy.Prediction.from_completions({"a": [1, 2], "b": [3, 4]})
    texts = [each.a for each in listed.completions]
    return listed.a, listed.completions.a, len(listed.completions), texts, by_name.b, by_name.completions[1].toDict()


@use
def votes(dspy):
    answers = [{"a": "Yes."}, {"a": "yes"}, {"a": "no"}]
    predictions = [dspy.Prediction(a="x", b="1"), dspy.Prediction(a="x", b="2"), dspy.Prediction(a="y", b="2")]
    several = dspy.Prediction.from_completions(answers)
    return [
        dspy.majority(answers).a,
        dspy.majority(answers, field="a", normalize=None).a,
        dspy.majority(several).a,
        dspy.majority(several.completions).a,
        dspy.majority(predictions).b,
        dspy.majority([{"n": 1}, {"n": 2}, {"n": 2}], normalize=lambda value: value).n,
    ]


@use
def pairs_of_all_kinds_in_parallel(dspy):
    quiet = {"disable_progress_bar": True}
    program, row = dspy.Predict("q -> a"), dspy.Example(q="1").with_inputs("q")
    with asking(dspy, [{"a": "x"}] * 9):
        return [
            [found.a for found in dspy.Parallel(num_threads=2, **quiet)([(program, row), (program, {"q": "2"})])],
            dspy.Parallel(access_examples=False, **quiet)([(lambda example: example.q, row)]),
            dspy.Parallel(**quiet)([(lambda a, b: a + b, (1, 2))]),
            [found.a for found in dspy.Parallel(**quiet)([(dspy.Parallel(**quiet), [(program, row)] * 2)])[0]],
            [found.a for found in dspy.Parallel(**quiet).forward([(program, row)], num_threads=1)],
        ]


@use
def all_options_of_a_batch(dspy):
    options = {
        "num_threads": 2,
        "max_errors": 1,
        "return_failed_examples": False,
        "provide_traceback": None,
        "disable_progress_bar": True,
        "timeout": 60,
        "straggler_limit": 3,
    }
    with asking(dspy, [{"a": "x"}] * 2):
        return [found.a for found in dspy.Predict("q -> a").batch(rows(dspy, 2), **options)]


def two_steps(dspy):
    class TwoSteps(dspy.Module):
        def __init__(self):
            super().__init__()
            self.draft, self.check = dspy.Predict("q -> a"), dspy.ChainOfThought("q -> a")

        def forward(self, q):
            self.draft(q=q)
            return self.check(q=q)

    return TwoSteps()


@use
def marks_of_compiled_programs(dspy):
    student = two_steps(dspy)
    labeled = dspy.LabeledFewShot(k=1).compile(student, trainset=rows(dspy, 1))
    with asking(dspy, [{"a": "0"}, {"reasoning": "r", "a": "0"}]):
        optimizer = dspy.BootstrapFewShot(metric=lambda row, found, trace=None: True, max_labeled_demos=0)
        found = optimizer.compile(student, trainset=rows(dspy, 1))
    marks = [student._compiled, labeled._compiled, found._compiled, found.reset_copy()._compiled]
    return marks, len(found.draft.demos), found.check.predict.demos[0]["reasoning"]


@use
def parts_that_are_compiled(dspy):
    program = two_steps(dspy)
    program.check._compiled = True
    return [
        [name for name, _ in found]
        for found in (
            program.named_predictors(),
            program.named_parameters(),
            program.named_sub_modules(),
            program.named_sub_modules(skip_compiled=True),
        )
    ]


@use
def labels_in_order(dspy):
    student = dspy.Predict("q -> a")
    student.demos = rows(dspy, 1)
    found = dspy.LabeledFewShot(k=3).compile(student, trainset=rows(dspy, 5), sample=False)
    return [demo["q"] for demo in found.demos], len(student.demos)


@use
def what_is_bootstrapped(dspy):
    answers = [{"reasoning": "r", "a": "0"}, {"reasoning": "r", "a": "5"}, {"reasoning": "s", "a": "2"}]
    with asking(dspy, answers):
        optimizer = dspy.BootstrapFewShot(
            metric=lambda row, found, trace=None: row.a == found.a, max_bootstrapped_demos=2, max_labeled_demos=3
        )
        demos = optimizer.compile(dspy.ChainOfThought("q -> a"), trainset=rows(dspy, 6)).predict.demos
    return [(demo["q"], demo["reasoning"]) for demo in demos[:2]], len(demos)


@use
def a_threshold_and_a_teacher(dspy):
    with asking(dspy, [{"reasoning": "r", "a": "0"}] * 2):
        optimizer = dspy.BootstrapFewShot(
            metric=lambda *_: 0.5, metric_threshold=0.4, max_bootstrapped_demos=2, max_labeled_demos=2
        )
        teacher = dspy.ChainOfThought("q -> a")
        found = optimizer.compile(dspy.ChainOfThought("q -> a"), trainset=rows(dspy, 3), teacher=teacher)
    return [demo["a"] for demo in found.predict.demos]


@use
def an_optimizer_by_position(dspy):
    vectorizer = dspy.Embedder(lambda texts: np.array([[len(text), 1.0] for text in texts], dtype=np.float32))
    with asking(dspy, [{"a": "1"}] * 20):
        return dspy.KNNFewShot(2, rows(dspy, 3), vectorizer).compile(dspy.Predict("q -> a"))(q="xxx").a


@use
def params_of_optimizers(dspy):
    return dspy.LabeledFewShot(k=3).get_params()["k"], dspy.BootstrapFewShot(max_rounds=2).get_params()["max_rounds"]


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
