"""Texts are compared by their n-grams as scikit-learn's hashed rows compare them, without scikit-learn."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from dspex_core import ConfigurationError
from dspex_core.retrievers.embedders import LexicalEmbedder, NearestIndex
from dspex_core.retrievers.ngrams import ANALYZERS, NgramIndex, ngrams_of

TEXTS = st.lists(st.text("abcÄß é\t\n.-1", max_size=12), min_size=1, max_size=5)
RANGES = st.sampled_from([(1, 1), (1, 2), (2, 4), (3, 3)])


@given(TEXTS, st.sampled_from(ANALYZERS), RANGES)
def test_ngrams_and_similarities_are_those_of_scikit_learn(texts, analyzer, ngram_range):
    theirs = HashingVectorizer(analyzer=analyzer, ngram_range=ngram_range, alternate_sign=False)
    for text in texts:
        assert sorted(ngrams_of(text, analyzer=analyzer, ngram_range=ngram_range)) == sorted(
            theirs.build_analyzer()(text)
        )
    rows = theirs.transform(texts)
    ours = NgramIndex(texts, analyzer=analyzer, ngram_range=ngram_range)
    assert list(ours.similarities(texts[0])) == pytest.approx((rows @ rows[0].T).toarray().ravel())


def test_a_program_with_nearest_demos_and_scores_of_classes_load_no_scikit_learn():
    code = """
import sys
import dspex_core as dspy
rows = [dspy.Example(text=text, label=label).with_inputs("text") for text, label in [("a b", "x"), ("c d", "y")]]
program = dspy.KNNFewShot(k=1).compile(dspy.Predict("text -> label"), trainset=rows)
lm = dspy.ScriptedLM([{"label": "x"}])
with dspy.context(lm=lm):
    assert program(text="a b c").label == "x"
assert "c d" not in str(lm.history[-1])
assert dspy.classification_report([("x", "x"), ("x", "y")]).classes["x"].recall == 0.5
for name in ("sklearn", "scipy", "joblib"):
    assert name not in sys.modules
    sys.modules[name] = None  # as if it were not installed
try:
    dspy.LexicalEmbedder()(["a"])
except dspy.ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == (
        "a matrix of n-grams needs scikit-learn, which is not installed: pip install 'pytest-dspex[metrics]'\n"
    )


@pytest.mark.parametrize("ngram_range", ["ab", None, (1, 2.5), (1, 2, 3), (0, 1), (3, 2)], ids=repr)
def test_a_range_of_ngrams_is_two_whole_numbers(ngram_range):
    with pytest.raises(ConfigurationError, match=r"needs an analyzer of .* and 1 <= shortest <= longest n-gram, not"):
        LexicalEmbedder(ngram_range=ngram_range)


def test_an_index_compares_texts_alone():
    with pytest.raises(ConfigurationError, match="an index compares texts, not None"):
        NearestIndex(["a", None], LexicalEmbedder())
    with pytest.raises(ConfigurationError, match="an index compares texts, not 5"):
        NearestIndex(["a"], LexicalEmbedder()).nearest(5, 1)


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], ["x", "y"], [None, None], [[{}], [{}]]], ids=repr)
def test_an_embedder_that_returns_no_rows_of_numbers_is_named(rows):
    with pytest.raises(ConfigurationError, match="the embedder must return a row"):
        NearestIndex(["a", "b"], lambda _: rows)
