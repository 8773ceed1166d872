"""Retrieval: BM25 and embeddings over a corpus, kept and found again."""

import asyncio
import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dspex_core
from dspex_core import (
    BM25,
    ArtifactError,
    ConfigurationError,
    Embedder,
    Embeddings,
    EmbeddingsWithScores,
    LexicalEmbedder,
    Module,
    Predict,
    Prediction,
    Retriever,
    ScriptedLM,
    context,
)
from dspex_core.retrievers.words import words

CORPUS = [
    "Parcels arrive within three days.",
    "Refunds are paid within two weeks of the return.",
    "The shop is closed on Sundays.",
    "A refund needs the receipt, and the receipt must show the date.",
]


def counted(texts):
    """Embed a text as how often it has each vowel, and its length."""
    counted.calls.append(list(texts))
    return [[text.lower().count(vowel) for vowel in "aeiou"] + [len(text) / 100] for text in texts]


@pytest.fixture(autouse=True)
def _no_calls_yet():
    counted.calls = []


def find(how, retriever, *args, **kwargs):
    return retriever(*args, **kwargs) if how == "sync" else asyncio.run(retriever.acall(*args, **kwargs))


both = pytest.mark.parametrize("how", ["sync", "async"])
made = pytest.mark.parametrize(
    "make",
    [
        BM25,
        lambda corpus, **kw: Embeddings(corpus, LexicalEmbedder(), **kw),
        lambda c, **kw: Embeddings(c, counted, **kw),
    ],
    ids=["bm25", "sparse", "dense"],
)


@both
@made
def test_passages_come_best_first_with_their_places(how, make):
    found = find(how, make(CORPUS, k=3), CORPUS[1])
    assert isinstance(found, Prediction)
    assert found.passages[0] == CORPUS[1]
    assert found.passages == [CORPUS[index] for index in found.indices]
    assert found.scores == sorted(found.scores, reverse=True)


@both
@made
def test_a_call_may_ask_for_more_or_fewer(how, make):
    retriever = make(CORPUS, k=2)
    assert [len(find(how, retriever, "refunds within the shop a", k=k).passages) for k in (1, None, 3)] == [1, 2, 3]


@made
def test_an_empty_corpus_has_no_passages(make):
    assert make([])("anything") == Prediction(passages=[], indices=[], scores=[])


@made
def test_k_below_one_is_refused(make):
    with pytest.raises(ConfigurationError, match="k, the number of passages to find, must be at least 1, not 0"):
        make(CORPUS, k=0)


@made
def test_copies_of_a_program_share_it(make):
    retriever = make(CORPUS)
    assert copy.deepcopy({"search": retriever})["search"] is retriever


@made
def test_a_corpus_changed_later_is_another_one(make):
    corpus = list(CORPUS)
    retriever = make(corpus)
    corpus.clear()
    assert retriever(CORPUS[0]).passages[0] == CORPUS[0]


def test_listeners_are_told_what_was_found():
    events = []
    with context(listeners=(events.append,)):
        BM25(CORPUS)("receipt")
    assert [event.name for event in events] == ["dspex.retrieve.start", "dspex.retrieve.stop"]
    assert events[1].attributes["result"].indices == [3]


def test_a_program_answers_from_what_it_found():
    class RAG(Module):
        def __init__(self):
            self.search = BM25(CORPUS, k=1)
            self.answer = Predict("context: list[str], question -> answer")

        def flow(self, question):
            found = yield from self.search.steps(question)
            return (yield from Module.steps(self.answer, context=found.passages, question=question))

    lm = ScriptedLM({CORPUS[2]: {"answer": "no"}})
    for how in ("sync", "async"):
        with context(lm=lm):
            assert find(how, RAG(), question="Is the shop open on Sundays?").answer == "no"


def test_the_names_of_dspy_are_there():
    assert dspex_core.retrievers.Embeddings is Embeddings
    assert EmbeddingsWithScores is Embeddings


class TestBM25:
    def test_passages_that_share_no_word_are_not_found(self):
        assert BM25(CORPUS)("refund receipt").indices == [3]
        assert BM25(CORPUS)("nothing alike!").indices == []
        assert BM25(CORPUS)("?!").indices == []

    def test_a_rare_word_counts_more_than_a_frequent_one(self):
        corpus = ["the a", "the b", "the rare", "the the"]
        assert BM25(corpus)("the rare").indices[0] == 2

    def test_of_equal_passages_the_earlier_comes_first(self):
        assert BM25(["x y", "x y", "x y"], k=2)("x").indices == [0, 1]

    def test_passages_without_words_are_no_trouble(self):
        assert BM25(["", "...", "one word"])("word").indices == [2]
        assert BM25(["", "..."])("word").indices == []

    @pytest.mark.parametrize(
        ("corpus", "query", "index"),
        [
            (["東京は日本の首都です。", "大阪は商業都市です。"], "日本の首都", 0),
            (["배송은 사흘 걸립니다", "환불은 두 주 걸립니다"], "환불이 언제", 1),
            (["ร้านปิดวันอาทิตย์", "พัสดุถึงในสามวัน"], "พัสดุ", 1),
            (["रिफंड दो सप्ताह में", "दुकान रविवार को बंद"], "दुकान कब बंद", 1),
            (["Straße gesperrt", "Rückgabe möglich"], "STRASSE", 0),
            (["ﬁve days", "ten days"], "FIVE", 0),
            (["القاهرة عاصمة مصر", "باريس عاصمة فرنسا"], "فرنسا", 1),
        ],
    )
    def test_it_finds_in_any_script(self, corpus, query, index):
        assert BM25(corpus)(query).indices[0] == index

    def test_a_tokenizer_of_ones_own_can_stem(self, tmp_path):
        def stems(text):
            return [word[:5] for word in words(text)]

        retriever = BM25(CORPUS, tokenizer=stems)
        assert set(retriever("refunded").indices) == {1, 3}
        retriever.save(tmp_path)
        assert set(BM25.from_saved(tmp_path, stems)("refunded").indices) == {1, 3}
        with pytest.raises(ArtifactError, match="was saved with a tokenizer: pass it"):
            BM25.from_saved(tmp_path)

    def test_it_is_saved_and_found_again(self, tmp_path):
        retriever = BM25([*CORPUS, "Größe 東京"], k=2, k1=1.0, b=0.5)
        retriever.save(tmp_path / "index")
        loaded = BM25.from_saved(tmp_path / "index")
        assert loaded("refund paid within") == retriever("refund paid within")
        assert (loaded.corpus, loaded.k, loaded.k1, loaded.b) == (retriever.corpus, 2, 1.0, 0.5)
        assert repr(loaded) == "BM25(5 passages, k=2)"

    def test_damage_is_an_error(self, tmp_path):
        BM25(CORPUS).save(tmp_path)
        file = tmp_path / "bm25.json"
        artifact = json.loads(file.read_text())
        artifact["state"]["k"] = "five"
        file.write_text(json.dumps(artifact))
        with pytest.raises(ArtifactError, match=r"bm25\.json: is a damaged artifact"):
            BM25.from_saved(tmp_path)

    @given(st.text())
    def test_words_of_a_text_do_not_depend_on_its_case_and_any_text_has_some_or_none(self, text):
        found = words(text)
        assert all(found)
        assert not any(character.isspace() for word in found for character in word)
        assert words(text.casefold()) == words(text.casefold().casefold())

    @given(st.lists(st.text(max_size=20), max_size=6), st.text(max_size=20))
    def test_no_corpus_and_no_query_is_an_error(self, corpus, query):
        indices = BM25(corpus)(query).indices
        assert set(indices) <= set(range(len(corpus)))


class TestEmbeddings:
    def test_the_corpus_is_embedded_once(self):
        retriever = Embeddings(CORPUS, counted)
        retriever("a"), retriever("b")
        assert counted.calls == [CORPUS, ["a"], ["b"]]

    def test_similarities_are_cosines_unless_lengths_are_to_count(self):
        def embed(texts):
            return [[float(text), 0.0] if text != "1.5" else [1.5, 1.5] for text in texts]

        found = Embeddings(["2", "1.5", "9"], embed)("4")
        assert found.indices == [0, 2, 1]
        assert found.scores == pytest.approx([1.0, 1.0, 0.5**0.5])
        found = Embeddings(["2", "1.5", "9"], embed, normalize=False, brute_force_threshold=1)("4")
        assert (found.indices, found.scores) == ([2, 0, 1], [36.0, 8.0, 6.0])

    @pytest.mark.parametrize("normalize", [True, False])
    def test_it_is_saved_and_found_again_without_embedding_anew(self, tmp_path, normalize):
        retriever = Embeddings([*CORPUS, "Größe"], counted, k=2, normalize=normalize)
        retriever.save(tmp_path / "index")
        counted.calls.clear()
        loaded = Embeddings.from_saved(tmp_path / "index", counted)
        assert counted.calls == []
        assert loaded("refund").indices == retriever("refund").indices
        assert loaded("refund").scores == pytest.approx(retriever("refund").scores)
        assert (loaded.k, loaded.normalize, loaded.corpus) == (2, normalize, retriever.corpus)

    def test_an_instance_can_become_the_saved_one(self, tmp_path):
        Embeddings(CORPUS, counted).save(tmp_path)
        other = Embeddings(["x"], counted)
        assert other.load(tmp_path, counted) is other
        assert other(CORPUS[2], k=1).passages == [CORPUS[2]]

    def test_an_embedder_that_has_a_name_is_saved_and_its_key_is_not(self, tmp_path):
        Embeddings(CORPUS, LexicalEmbedder("word", (1, 1))).save(tmp_path / "lexical")
        assert Embeddings.from_saved(tmp_path / "lexical").embedder == LexicalEmbedder("word", (1, 1))
        assert [file.name for file in (tmp_path / "lexical").iterdir()] == ["embeddings.json"]

        model = Embeddings([], Embedder("openai/some-model", api_key="secret", dimensions=8))
        model.save(tmp_path / "model")
        assert repr(Embeddings.from_saved(tmp_path / "model").embedder) == "Embedder('openai/some-model')"
        assert "secret" not in (tmp_path / "model" / "embeddings.json").read_text()

    def test_one_that_is_a_function_must_be_given_again(self, tmp_path):
        Embeddings(CORPUS, counted).save(tmp_path)
        with pytest.raises(ArtifactError, match="an embedder that is a function: pass it"):
            Embeddings.from_saved(tmp_path)

    def test_another_embedder_than_that_of_the_corpus_is_noticed(self, tmp_path):
        Embeddings(CORPUS, counted).save(tmp_path)
        loaded = Embeddings.from_saved(tmp_path, lambda texts: [[1.0, 2.0]] * len(texts))
        with pytest.raises(ConfigurationError, match="makes vectors of 2 numbers, and those of the texts have 6"):
            loaded("refund")

    def test_an_embedder_that_forgets_texts_is_noticed(self):
        with pytest.raises(ConfigurationError, match="a row for each of 4 texts"):
            Embeddings(CORPUS, lambda texts: [[1.0]])

    def test_saving_again_leaves_no_old_vectors(self, tmp_path):
        Embeddings(CORPUS, counted).save(tmp_path)
        (tmp_path / "mine.npy").write_bytes(b"")
        Embeddings(CORPUS[:2], counted).save(tmp_path)
        assert len(list(tmp_path.glob("vectors-*.npy"))) == 1
        assert (tmp_path / "mine.npy").exists()
        assert Embeddings.from_saved(tmp_path, counted).corpus == CORPUS[:2]

    def test_a_folder_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ArtifactError, match="cannot be written"):
            Embeddings(CORPUS, counted).save(tmp_path / "file")

    @pytest.mark.parametrize(
        "name", ["../vectors-0123456789abcdef.npy", "/etc/passwd", 3, "vectors-0123456789abcdef.npy"]
    )
    def test_files_elsewhere_and_missing_ones_are_errors(self, tmp_path, name):
        Embeddings(CORPUS, counted).save(tmp_path)
        file = tmp_path / "embeddings.json"
        artifact = json.loads(file.read_text())
        artifact["state"]["vectors"] = name
        file.write_text(json.dumps(artifact))
        with pytest.raises(ArtifactError, match=r"is not a file of vectors|cannot be read"):
            Embeddings.from_saved(tmp_path, counted)

    def test_damage_is_an_error_and_a_pickle_is_never_loaded(self, tmp_path):
        Embeddings(CORPUS, counted).save(tmp_path)
        [vectors] = tmp_path.glob("vectors-*.npy")
        np.save(vectors, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(ArtifactError, match=r"vectors-.*cannot be read: .*allow_pickle=False"):
            Embeddings.from_saved(tmp_path, counted)
        np.save(vectors, np.zeros((2, 3)))
        with pytest.raises(ArtifactError, match=r"a row for each of 4 passages, its shape is \(2, 3\)"):
            Embeddings.from_saved(tmp_path, counted)
        (tmp_path / "embeddings.json").write_text(
            '{"format": "dspex-artifact", "version": 1, "kind": "embeddings", "state": {"k": 1}}'
        )
        with pytest.raises(ArtifactError, match="is a damaged artifact: it lacks a part"):
            Embeddings.from_saved(tmp_path, counted)


def test_a_retriever_of_ones_own_needs_one_method():
    class Longest(Retriever):
        def ranked(self, query, k):
            order = sorted(range(len(self.corpus)), key=lambda index: -len(self.corpus[index]))
            return [(index, float(len(self.corpus[index]))) for index in order[:k]]

    assert find("async", Longest(CORPUS, 1), "any").passages == [CORPUS[3]]


@pytest.mark.parametrize("corpus", ["one text", [1, 2]])
def test_a_corpus_that_is_no_list_of_texts_is_an_error(corpus):
    with pytest.raises(ConfigurationError, match="a corpus must be a list of texts"):
        BM25(corpus)


def test_a_query_that_is_no_text_is_an_error():
    with pytest.raises(ConfigurationError, match="a query must be a text, not None"):
        BM25(["a passage"])(None)
