"""`Embedder`: vectors of models through both engines, and of functions."""

import asyncio

import numpy as np
import pytest
from openai_server import OpenAIServer, Reply
from scipy import sparse

from dspex_core import (
    ArtifactError,
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Embedder,
    Example,
    KNNFewShot,
    LexicalEmbedder,
    LMAuthError,
    LMError,
    LMResponseError,
    LMTimeoutError,
    LMTransportError,
    Predict,
    ResponseCache,
    ScriptedLM,
    context,
    track_usage,
)
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.lm.engines.vectors import vector_from_text, vector_text
from dspex_core.retrievers.embedders import embedder_from_json

MODEL = "openai/text-embedding-3-small"


def vector(text):
    return [float(len(text)), float(text.count("a")), 0.1]


def embeddings(body):
    rows = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(body["input"])]
    tokens = sum(len(text.split()) for text in body["input"])
    reply = {"object": "list", "data": rows[::-1], "model": body["model"]}
    return Reply(body={**reply, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


@pytest.fixture
def server():
    with OpenAIServer(script=embeddings) as server:
        yield server


@pytest.fixture(params=["direct", "litellm"])
def engine(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def embed(request):
    if request.param == "sync":
        return lambda embedder, *args, **kwargs: embedder(*args, **kwargs)
    return lambda embedder, *args, **kwargs: asyncio.run(embedder.acall(*args, **kwargs))


def embedder_at(server, engine="direct", **arguments):
    return Embedder(
        MODEL, api_base=server.base_url, api_key="sk-test", engine=engine, **{"num_retries": 0, **arguments}
    )


@pytest.fixture(autouse=True)
def _memory_cache():
    with context(cache=ResponseCache()):
        yield


class TestModels:
    def test_texts_become_the_rows_of_a_matrix(self, server, engine, embed):
        found = embed(embedder_at(server, engine), ["banana", "b"])
        assert found.dtype == np.float32
        assert found == pytest.approx(np.array([vector("banana"), vector("b")]))
        (received,) = server.requests
        assert received.path == "/v1/embeddings"
        assert received.headers["authorization"] == "Bearer sk-test"
        assert (received.body["model"], received.body["input"]) == ("text-embedding-3-small", ["banana", "b"])

    def test_a_single_text_becomes_one_vector(self, server, embed):
        assert embed(embedder_at(server), "banana") == pytest.approx(np.array(vector("banana")))

    def test_no_texts_become_no_rows(self, server, embed):
        assert embed(embedder_at(server), []).shape[0] == 0
        assert server.requests == []

    def test_texts_are_sent_in_batches(self, server, embed):
        texts = [f"text {number}" for number in range(5)]
        assert embed(embedder_at(server, batch_size=2), texts).shape == (5, 3)
        assert [len(received.body["input"]) for received in server.requests] == [2, 2, 1]
        embed(embedder_at(server), [text * 2 for text in texts], batch_size=3)
        assert [len(received.body["input"]) for received in server.requests[3:]] == [3, 2]

    def test_further_arguments_are_sent(self, server, engine):
        embedder_at(server, engine, dimensions=3)(["a"])
        embedder_at(server, engine, dimensions=3)(["a"], dimensions=2)
        assert [received.body["dimensions"] for received in server.requests] == [3, 2]

    def test_a_text_is_asked_for_once(self, server, embed):
        embedder = embedder_at(server)
        first = embed(embedder, ["a", "bb", "a"])
        second = embed(embedder, ["bb", "ccc", "a"])
        assert [received.body["input"] for received in server.requests] == [["a", "bb"], ["ccc"]]
        assert (first[[1, 2]] == second[[0, 2]]).all()

    def test_unless_caching_is_off(self, server, embed):
        embed(embedder_at(server, caching=False), ["a"]), embed(embedder_at(server), ["a"], caching=False)
        embed(embedder_at(server), ["a"])
        assert len(server.requests) == 3

    def test_the_cache_outlives_the_process(self, server, tmp_path):
        for _ in range(2):
            with context(cache=ResponseCache(tmp_path / "responses.sqlite")):
                assert embedder_at(server)("banana") == pytest.approx(np.array(vector("banana")))
        assert len(server.requests) == 1

    def test_failures_that_may_pass_are_tried_again(self, embed):
        replies = [Reply(status=503, headers={"Retry-After": "0"})]
        with OpenAIServer(script=lambda body: replies.pop() if replies else embeddings(body)) as server:
            assert embed(embedder_at(server, num_retries=1), ["a"]).shape == (1, 3)

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (Reply(status=401), LMAuthError),
            (Reply(body={"data": []}), LMResponseError),
            (Reply(body={"error": {"message": "no key", "code": 401}}), LMAuthError),
            (Reply(fault="drop"), LMTransportError),
        ],
    )
    def test_failures_are_typed(self, embed, reply, error):
        with OpenAIServer(script=lambda _: reply) as server, pytest.raises(error):
            embed(embedder_at(server), ["a"])

    @pytest.mark.parametrize("reply", [Reply(status=401), Reply(body={"data": [], "model": "m", "usage": {}})])
    def test_failures_are_typed_with_litellm_too(self, embed, reply):
        with OpenAIServer(script=lambda _: reply) as server, pytest.raises((LMAuthError, LMResponseError)):
            embed(embedder_at(server, "litellm"), ["a"])

    @pytest.mark.parametrize("error", [RuntimeError("broken"), ValueError("broken"), ConnectionError("broken")])
    def test_what_litellm_raises_is_typed(self, monkeypatch, embed, error):
        with foreign_code():
            import litellm

        def fails(**_):
            raise error

        async def fails_later(**_):
            raise error

        monkeypatch.setattr(litellm, "embedding", fails)
        monkeypatch.setattr(litellm, "aembedding", fails_later)
        with pytest.raises(LMError, match="broken"):
            embed(Embedder(MODEL, engine="litellm", num_retries=0), ["a"])

    def test_a_timeout_is_one_of_them(self, engine, embed):
        with OpenAIServer(script=lambda _: Reply(fault="stall")) as server, pytest.raises(LMTimeoutError):
            embed(embedder_at(server, engine, timeout=2.0), ["a"])

    def test_what_they_take_is_counted_and_limited(self, server, embed):
        embedder = embedder_at(server)
        with track_usage() as usage, context(budget=Budget(calls=1)):
            embed(embedder, ["two words"]), embed(embedder, ["two words"])
            with pytest.raises(BudgetExceededError):
                embed(embedder, ["more"])
        assert (usage.calls, usage.total.prompt_tokens) == (1, 2)
        assert usage.cost > 0

    def test_it_is_stored_without_key_and_address(self, server):
        embedder = embedder_at(server, dimensions=3)
        stored = embedder.to_json()
        assert stored == {"kind": "model", "model": MODEL, "config": {"dimensions": 3}}
        assert embedder_from_json(stored).to_json() == stored

    def test_a_stored_form_with_an_address_is_refused(self):
        with pytest.raises(ArtifactError, match="not a stored embedder"):
            embedder_from_json({"kind": "model", "model": MODEL, "config": {"api_base": "http://evil"}})


class TestFunctions:
    def test_any_function_will_do(self, embed):
        calls = []

        def function(texts, scale=1.0):
            calls.append(list(texts))
            return [[len(text) * scale] for text in texts]

        embedder = Embedder(function, batch_size=2)
        assert embed(embedder, ["a", "bb", "ccc"], scale=2.0).tolist() == [[2], [4], [6]]
        assert calls == [["a", "bb"], ["ccc"]]
        assert embed(embedder, "dddd").tolist() == [4]

    def test_an_async_one_too(self, embed):
        async def function(texts):
            return [[1.0, 2.0] for _ in texts]

        assert embed(Embedder(function), ["a"]).tolist() == [[1, 2]]

    def test_the_lexical_one_stays_sparse_and_can_be_stored(self, embed):
        embedder = Embedder(LexicalEmbedder(), batch_size=1)
        rows = embed(embedder, ["a text", "another"])
        assert sparse.issparse(rows)
        assert rows.shape[0] == 2
        assert embedder_from_json(embedder.to_json()) == LexicalEmbedder()

    def test_another_cannot_be_stored(self):
        with pytest.raises(ArtifactError, match="an embedder that is a function cannot be stored"):
            Embedder(len).to_json()

    @pytest.mark.parametrize("rows", [[[1.0]], [1.0, 2.0]])
    def test_it_must_return_a_row_for_each_text(self, rows):
        with pytest.raises(ConfigurationError, match="a row for each of 2 texts"):
            Embedder(lambda _: rows)(["a", "b"])

    @pytest.mark.parametrize(("model", "kwargs"), [(5, {}), (len, {"api_key": "k"})])
    def test_what_is_neither_is_refused(self, model, kwargs):
        with pytest.raises(ConfigurationError, match="a model string, or a function"):
            Embedder(model, **kwargs)


class TestNearestDemos:
    trainset = (
        Example(q="banana", a="fruit").with_inputs("q"),
        Example(q="b", a="letter").with_inputs("q"),
    )

    @pytest.mark.parametrize("waiting", ["sync", "async"])
    @pytest.mark.parametrize("kind", ["model", "function"])
    def test_an_embedder_chooses_the_demos(self, server, kind, waiting):
        vectorizer = embedder_at(server) if kind == "model" else (lambda texts: [vector(text) for text in texts])
        program = KNNFewShot(1, self.trainset, vectorizer=vectorizer).compile(Predict("q -> a"))
        lm = ScriptedLM(lambda _: {"a": "?"})
        with context(lm=lm):
            if waiting == "sync":
                program(q="ananas")
            else:
                asyncio.run(program.acall(q="ananas"))
        text = "".join(message.text for message in lm.history[-1].request.messages)
        assert "banana" in text
        assert "letter" not in text

    def test_the_model_is_stored_with_the_program(self, server, tmp_path):
        program = KNNFewShot(1, self.trainset, vectorizer=embedder_at(server)).compile(Predict("q -> a"))
        program.save(tmp_path / "program.json")
        loaded = Predict("q -> a")
        loaded.load(tmp_path / "program.json")
        assert loaded.demo_selector.embedder.model == MODEL
        assert "sk-test" not in (tmp_path / "program.json").read_text()


def test_a_vector_survives_as_text():
    numbers = np.random.default_rng(0).normal(size=1536).astype(np.float32).tolist()
    assert vector_from_text(vector_text(numbers)) == numbers
