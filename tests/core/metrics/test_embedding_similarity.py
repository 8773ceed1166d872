"""Similarity of embeddings, by a model, a function, sync or async."""

import asyncio
import math

import pytest

from dspex_core import Embedder, Evaluate, Example, LexicalEmbedder, Prediction
from dspex_core.errors import ConfigurationError
from dspex_core.metrics import embedding_similarity

VECTORS = {"cat": [1, 0], "kitten": [1, 1], "stone": [-1, 0], "": [0, 0], "?": [0, 0]}


def embed(texts):
    return [VECTORS[text] for text in texts]


async def embed_async(texts):
    await asyncio.sleep(0)
    return embed(texts)


def score(expected, predicted, embedder=embed, **options):
    return embedding_similarity("a", embedder, **options)(Example(a=expected), Prediction(a=predicted))


@pytest.mark.parametrize("embedder", [embed, embed_async, Embedder(embed), Embedder(embed_async)])
@pytest.mark.parametrize(
    ("expected", "predicted", "value"),
    [
        ("cat", "cat", 1),
        ("cat", "kitten", math.sqrt(0.5)),
        ("cat", "stone", 0),
        (["stone", "kitten"], "cat", math.sqrt(0.5)),
        ("", "", 1),
        ("", "cat", 0),
        ("", "?", 0),
        ([], "cat", 0),
    ],
)
def test_the_score_is_the_cosine_from_0_to_1(embedder, expected, predicted, value):
    assert score(expected, predicted, embedder).value == pytest.approx(value)


def test_sparse_rows_and_a_threshold():
    found = score("the quick fox", "the quick foxes", LexicalEmbedder(), threshold=0.6)
    assert found.value == 1
    assert 0.6 <= found.details["similarity"] < 1
    assert score("cat", "kitten", threshold=0.8).feedback == "a should be 'cat' but is 'kitten' (similarity 0.71)."


def test_it_works_in_an_event_loop():
    row = Example(q="cat", a="cat").with_inputs("q")
    run = Evaluate(devset=[row], metric=embedding_similarity("a", embed_async), num_threads=1)
    assert asyncio.run(run.acall(lambda q: Prediction(a="kitten"))).mean == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    "embedder", [lambda texts: [[1.0]], lambda texts: [[math.nan]] * len(texts), lambda texts: [1.0] * len(texts)]
)
def test_rows_that_cannot_be_compared_are_refused(embedder):
    with pytest.raises(ConfigurationError, match="a row of finite numbers for each of 2 texts"):
        score("cat", "kitten", embedder)


def test_a_models_name_is_not_an_embedder():
    with pytest.raises(ConfigurationError, match="write Embedder"):
        embedding_similarity("a", "openai/text-embedding-3-small")
    with pytest.raises(ConfigurationError, match="0 < threshold <= 1"):
        embedding_similarity("a", embed, threshold=80)
