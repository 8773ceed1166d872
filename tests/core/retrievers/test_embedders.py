import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.retrievers.embedders import LexicalEmbedder, NearestIndex, embedder_from_json

TEXTS = [
    "my card was declined at the shop",
    "how do I reset my PIN",
    "when will my transfer arrive",
    "the cash machine kept my card",
]


def angles(texts):
    """Embed texts that are numbers as directions in the plane."""
    return [[np.cos(float(text)), np.sin(float(text))] for text in texts]


class TestLexicalEmbedder:
    def test_gives_sparse_rows_of_length_1(self):
        rows = LexicalEmbedder()(TEXTS)

        assert rows.shape[0] == len(TEXTS)
        assert rows.nnz < 1000
        assert np.sqrt(rows.multiply(rows).sum(axis=1)) == pytest.approx(1)

    def test_embeds_a_text_alike_whatever_comes_with_it(self):
        alone, among = LexicalEmbedder()([TEXTS[2]]), LexicalEmbedder()(TEXTS)

        assert (alone != among[2]).nnz == 0

    def test_puts_texts_with_shared_word_parts_close(self):
        rows = LexicalEmbedder()(["transferring money", "money transfers", "blocked card"]).toarray()

        assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]

    def test_analyzer_says_what_is_compared(self):
        texts = ["transferring", "transfers"]

        by_word, by_character = (LexicalEmbedder(analyzer, (1, 2))(texts).toarray() for analyzer in ("word", "char"))

        assert by_word[0] @ by_word[1] == 0
        assert by_character[0] @ by_character[1] > 0.5

    @pytest.mark.parametrize(("analyzer", "ngram_range"), [("words", (1, 2)), ("char", (0, 2)), ("char", (3, 2))])
    def test_refuses_settings_that_cannot_be(self, analyzer, ngram_range):
        with pytest.raises(ConfigurationError, match="needs an analyzer of 'char_wb', 'char', 'word'"):
            LexicalEmbedder(analyzer, ngram_range)

    def test_is_rebuilt_from_its_stored_form(self):
        embedder = LexicalEmbedder("word", (1, 3))

        assert embedder.to_json() == {"kind": "lexical", "analyzer": "word", "ngram_range": [1, 3]}
        assert embedder_from_json(embedder.to_json()) == embedder

    @pytest.mark.parametrize(
        "stored", [{}, {"kind": "neural"}, {"kind": "lexical", "analyzer": "char_wb", "ngram_range": 2}]
    )
    def test_another_stored_form_is_refused(self, stored):
        with pytest.raises(ArtifactError, match="not a stored embedder"):
            embedder_from_json(stored)


class TestNearestIndex:
    def test_finds_the_most_similar_texts_the_best_last(self):
        index = NearestIndex(TEXTS, LexicalEmbedder())

        assert index.nearest("reset the pin", 1) == [1]
        assert index.nearest("the cash machine has my card", 2) == [0, 3]

    def test_takes_any_callable_that_returns_rows(self):
        assert NearestIndex(["0.0", "0.5", "1.0", "1.5"], angles).nearest("0.6", 3) == [0, 2, 1]

    def test_compares_directions_not_lengths(self):
        def embed(texts):
            return np.array([[float(part) for part in text.split()] for text in texts])

        assert NearestIndex(["100 100", "1 0"], embed).nearest("5 1", 1) == [1]

    def test_of_equally_similar_texts_takes_the_earlier_one(self):
        index = NearestIndex(["same", "other", "same", "same"], LexicalEmbedder())

        assert index.nearest("same", 2) == [2, 0]
        assert index.nearest("zzz", 4) == [3, 2, 1, 0]

    def test_keeps_the_order_of_many_equally_similar_texts(self):
        index = NearestIndex(["same", "other"] * 200, LexicalEmbedder())

        assert index.nearest("same", 200) == list(range(398, -1, -2))

    @pytest.mark.parametrize("query", ["", "?", "\n"])
    def test_finds_something_for_a_query_that_says_nothing(self, query):
        assert len(NearestIndex(TEXTS, LexicalEmbedder()).nearest(query, 2)) == 2

    def test_has_no_more_than_its_texts(self):
        assert sorted(NearestIndex(TEXTS, LexicalEmbedder()).nearest("card", 10)) == [0, 1, 2, 3]
        assert NearestIndex([], LexicalEmbedder()).nearest("card", 10) == []

    def test_refuses_an_embedder_that_does_not_return_a_row_for_each_text(self):
        with pytest.raises(ConfigurationError, match="a row for each of 4 texts, not a matrix of the shape"):
            NearestIndex(TEXTS, lambda _: [[1.0, 0.0]])

    @given(st.lists(st.floats(-3, 3).map(lambda x: str(round(x, 2))), min_size=1, max_size=10), st.integers(1, 10))
    def test_is_what_comparing_with_every_text_finds(self, texts, k):
        query = "0.3"
        similarity = [np.dot(*angles([text, query])) for text in texts]

        found = NearestIndex(texts, angles).nearest(query, k)

        assert [similarity[i] for i in found] == pytest.approx(sorted(similarity)[-k:])

    def test_answers_many_threads_at_once(self):
        texts = [f"{text} number {number}" for text in TEXTS for number in range(20)]
        index = NearestIndex(texts, LexicalEmbedder())
        expected = [[position] for position in range(len(texts))]

        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(lambda text: index.nearest(text, 1), texts)) == expected


def test_importing_it_imports_no_heavy_library():
    code = (
        "import sys, dspex_core.retrievers.embedders, "
        "dspex_core.metrics.text, dspex_core.datasets.load, dspex_core.stats, "
        "dspex_core.storage.artifacts\n"
        "print([name for name in ('numpy', 'scipy', 'sklearn', 'rapidfuzz', 'pydantic') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("texts", ["a text", [None], ["a", 3]])
def test_a_lexical_embedder_refuses_what_is_no_list_of_texts(texts):
    with pytest.raises(ConfigurationError, match="takes a list of texts, not"):
        LexicalEmbedder()(texts)
