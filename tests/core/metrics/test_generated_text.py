"""ROUGE-L is that of rouge_score, BLEU and chrF are sacrebleu's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import Example, Prediction
from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics import bleu, chrf, rouge_l


def score(metric, expected, predicted):
    return metric(Example(a=expected), Prediction(a=predicted))


@pytest.fixture(scope="module")
def scorer():
    with foreign_code():
        rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
        return rouge_scorer.RougeScorer(["rougeL"])


@settings(max_examples=60)
@given(one=st.text("aBc d.-_'1", max_size=20), other=st.text("aBc d.-_'1", max_size=20))
def test_rouge_l_is_that_of_rouge_score(scorer, one, other):
    theirs, ours = scorer.score(one, other)["rougeL"], score(rouge_l("a"), one, other)
    if theirs.fmeasure or ours.details["recall"] < 1:  # two texts without words are the same to us
        assert ours.value == pytest.approx(theirs.fmeasure)
        assert ours.details == {"precision": pytest.approx(theirs.precision), "recall": pytest.approx(theirs.recall)}


def test_rouge_l_has_words_of_any_script():
    assert score(rouge_l("a"), "хорошо сказано", "сказано хорошо").value == pytest.approx(1 / 2)
    assert score(rouge_l("a"), "北京大学", "北京").value == pytest.approx(2 / 3)
    assert score(rouge_l("a"), "हिन्दी भाषा", "हिन्दी").value == pytest.approx(2 / 3)
    assert score(rouge_l("a"), ["no", "the cat sat"], "the cat").value == pytest.approx(4 / 5)


def test_bleu_and_chrf_are_those_of_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    text, references = "the cat sat on a mat", ["the cat sat on the mat", "a cat was on the mat"]
    wanted = sacrebleu.sentence_bleu(text, sorted(references), use_effective_order=True).score / 100
    assert score(bleu("a"), references, text).value == pytest.approx(wanted)
    wanted = sacrebleu.sentence_chrf(text, references[:1], word_order=2).score / 100
    assert score(chrf("a", word_order=2), references[0], text).value == pytest.approx(wanted)
    assert score(bleu("a", tokenize="zh"), "我在北京大学", "我在北京大学。").value > 0.5
    assert score(bleu("a", lowercase=True), "The Cat", "the cat").value == 1
    assert score(chrf("a"), "abc", "xyz").feedback == "a should be 'abc' but is 'xyz'."


def test_options_that_sacrebleu_does_not_have_are_refused():
    with pytest.raises(ConfigurationError, match="tokenize from 13a"):
        bleu("a", tokenize="words")
    with pytest.raises(ConfigurationError, match="word_order"):
        chrf("a", word_order=-1)
