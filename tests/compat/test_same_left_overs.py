"""Retrievers of the settings, logs of failures, saved ensembles and small helpers: the same in DSPy and in ours."""

import io
import logging

import pytest
from both import asking, in_real, module, uses

use, USES = uses()


class Records(logging.Handler):
    """What a library logs in a block, as the names of its levels and whether a traceback is shown."""

    def __init__(self, dspy):
        super().__init__()
        self.logger = logging.getLogger("dspex" if dspy.__name__ == "dspex_core" else "dspy")
        self.found = []

    def emit(self, record):
        if record.levelno >= logging.WARNING:
            self.found.append(bool(record.exc_info) or "Traceback" in record.getMessage())

    def __enter__(self):
        self.logger.addHandler(self)
        return self.found

    def __exit__(self, *_):
        self.logger.removeHandler(self)


def failing(q):
    raise ValueError("boom")


@use
def a_retriever_of_the_settings(dspy):
    rm = module(dspy, "utils").dummy_rm(["the cat sat", "a dog ran", "fish swim"])
    with dspy.context(rm=rm):
        return rm("cat", k=2)[0].long_text, len(rm("cat", k=3)), dspy.Retrieve(k=1)("cat").passages


@use
def a_retriever_of_the_users_own(dspy):
    class Passage:
        long_text = "a passage"

    retrievers = module(dspy, "retrievers")
    assert retrievers.Retrieve is dspy.Retrieve
    with dspy.context(rm=lambda query, k, **_: [Passage()] * k):
        return dspy.Retrieve()("q", k=2).passages, len(dspy.Retrieve()("q").passages)


@use
def the_harmonic_mean_of_shares(dspy):
    f1_score = module(dspy, "evaluate.auto_evaluation").f1_score
    return f1_score(0.5, 1.0), f1_score(0, 0), f1_score(2, 1)


@use
def a_history_that_is_printed(dspy):
    out = io.StringIO()
    with asking(dspy, [{"a": "first"}, {"a": "second"}]):
        dspy.Predict("q -> a")(q="1")
        predict = dspy.Predict("q -> a")
        predict(q="2")
        history = predict.history if dspy.__name__ == "dspex_core" else dspy.settings.lm.history
        module(dspy, "utils").pretty_print_history(history or [], n=1, file=out)
    return "first" in out.getvalue(), "\x1b" in out.getvalue()


@use
def tracebacks_in_the_log(dspy):
    rows = [dspy.Example(q=1, a=1).with_inputs("q")]
    with Records(dspy) as found:
        for asked in (True, False):
            with dspy.context(provide_traceback=asked):
                dspy.Evaluate(devset=rows, metric=lambda *_: 1, max_errors=5, num_threads=1)(failing)
                dspy.Parallel(max_errors=5, disable_progress_bar=True)([(failing, {"q": 1})])
        dspy.Evaluate(devset=rows, metric=lambda *_: 1, max_errors=5, provide_traceback=True)(failing)
    return found


@use
def inputs_of_another_type(dspy):
    counts = []
    for values, asked in [({"n": "one"}, True), ({"n": "one"}, False), ({"n": 1}, True), ({"n": None}, True)]:
        settings = {"warn_on_type_mismatch": asked}
        with Records(dspy) as found, asking(dspy, [{"a": "x"}], **settings):
            dspy.Predict("n: int -> a")(**values)
        counts.append(len(found))
    with Records(dspy) as found, asking(dspy, [{"a": "x"}]):
        dspy.Predict("names: list[str], kind: Literal['x', 'y'] -> a")(names=3, kind="z")
    return counts, len(found)


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)


def test_a_retriever_that_returns_texts_or_a_prediction(ours):
    for rm in (lambda query, k: ["a"] * k, ours.BM25(["a", "b"])):
        with ours.context(rm=rm):
            assert ours.Retrieve(k=1)("a").passages == ["a"]


@pytest.mark.parametrize("rm", [None, lambda query, k: 3])
def test_a_retriever_that_is_missing_or_finds_no_passages(ours, rm):
    with ours.context(rm=rm), pytest.raises(ours.ConfigurationError, match=r"rm"):
        ours.Retrieve()("q")


@pytest.mark.parametrize("reduce_fn", ["majority", None])
def test_a_saved_ensemble(ours, real, tmp_path, reduce_fn):
    def use(dspy):
        reduce = reduce_fn and getattr(dspy, reduce_fn)
        program = dspy.Ensemble(reduce_fn=reduce, size=2).compile(
            [dspy.Predict("q -> a"), dspy.ChainOfThought("q -> a")]
        )
        program.programs[0].demos = [dspy.Example(q="1", a="x")]
        folder = tmp_path / dspy.__name__
        program.save(folder, save_program=True)
        loaded = dspy.load(folder, allow_pickle=True)
        return type(loaded).__name__, [name for name, _ in loaded.named_predictors()], len(loaded.programs[0].demos)

    assert use(ours) == in_real(use, real)


def test_an_ensemble_that_reduces_by_an_unnamed_function_cannot_be_saved(ours, tmp_path):
    program = ours.Ensemble(reduce_fn=lambda found: found[0]).compile([ours.Predict("q -> a")])

    with pytest.raises(ours.ArtifactError, match="as a whole"):
        program.save(tmp_path / "program", save_program=True)
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize("pairs", [3, None, "ab", {"a": 1}, [3], [(len,)], [(3, {"q": 1})]])
def test_what_is_not_a_list_of_pairs(ours, pairs):
    with pytest.raises(ours.ConfigurationError, match="Parallel"):
        ours.Parallel()(pairs)


@pytest.mark.parametrize("value", ["x", "0.5", None, [1], float("nan")])
def test_a_score_that_is_not_a_number(ours, value):
    with pytest.raises(ValueError, match="a score must be a finite number"):
        ours.Score(value)
