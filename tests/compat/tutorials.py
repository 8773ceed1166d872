"""What the first pages of DSPy's tutorials have a reader write: each function takes the library as `dspy`."""

from collections import Counter

import bm25s

CORPUS = [
    "Otters rest on the banks of rivers and dive for fish.",
    "Foxes dig dens in dry woods and hunt mice at night.",
    "Badgers share their setts with foxes now and then.",
    "Herons stand in shallow water and wait for fish.",
]
WORDS = sorted({word.strip(".,?").lower() for text in CORPUS for word in text.split()})


def embed(texts):
    """Embed texts as word counts; a stand-in for the local model of the tutorial."""
    counted = [Counter(word.strip(".,?").lower() for word in text.split()) for text in texts]
    return [[float(count[word]) for word in WORDS] for count in counted]


def bm25_search(query, k):
    """Search as the tutorial on several hops does."""
    found, scores = RANKED.retrieve(bm25s.tokenize(query, show_progress=False), k=k, n_threads=1, show_progress=False)
    return {CORPUS[place]: round(float(score), 3) for place, score in zip(found[0], scores[0], strict=True)}


RANKED = bm25s.BM25(k1=0.9, b=0.4)
RANKED.index(bm25s.tokenize(CORPUS, stopwords="en", show_progress=False), show_progress=False)


def rag(dspy):
    search = dspy.retrievers.Embeddings(embedder=dspy.Embedder(embed), corpus=CORPUS, k=2)

    class RAG(dspy.Module):
        def __init__(self):
            self.respond = dspy.ChainOfThought("context, question -> response")

        def forward(self, question):
            context = search(question).passages
            prediction = self.respond(context=context, question=question)
            return dspy.Prediction(context=context, response=prediction.response)

    return RAG()


def hop(dspy):
    class Hop(dspy.Module):
        def __init__(self, num_docs=2, num_hops=2):
            self.num_docs, self.num_hops = num_docs, num_hops
            self.generate_query = dspy.ChainOfThought("claim, notes -> query")
            self.append_notes = dspy.ChainOfThought("claim, notes, context -> new_notes: list[str], titles: list[str]")

        def forward(self, claim: str):
            notes, titles = [], []
            for _ in range(self.num_hops):
                query = self.generate_query(claim=claim, notes=notes).query
                context = bm25_search(query, k=self.num_docs)
                prediction = self.append_notes(claim=claim, notes=notes, context=context)
                notes.extend(prediction.new_notes)
                titles.extend(prediction.titles)
            return dspy.Prediction(notes=notes, titles=list(dict.fromkeys(titles)))

    return Hop()


def async_hop(dspy):
    sync = hop(dspy)

    class AsyncHop(dspy.Module):
        def __init__(self):
            super().__init__()
            self.generate_query, self.append_notes = sync.generate_query, sync.append_notes

        async def aforward(self, claim):
            query = (await self.generate_query.acall(claim=claim, notes=[])).query
            found = await self.append_notes.acall(claim=claim, notes=[], context=bm25_search(query, k=1))
            return dspy.Prediction(notes=found.new_notes, titles=found.titles)

    return AsyncHop()


DOCS = {"otter": "The otter is a mammal that lives in rivers.", "fox": "The fox is a mammal that lives in dens."}


def search_pages(query: str) -> list[str]:
    """Return the titles of pages that say something about the query."""
    return [title for title, text in DOCS.items() if query.lower() in text.lower()]


async def lookup_page(title: str, words: int = 4) -> str:
    """Return the first words of a page."""
    return " ".join(DOCS[title].split()[:words])


def agent(dspy):
    instructions = "Find all titles that are relevant to the claim."
    signature = dspy.Signature("claim -> titles: list[str]", instructions)
    return dspy.ReAct(signature, tools=[search_pages, dspy.Tool(lookup_page, name="lookup")], max_iters=5)


def calling_agent(dspy):
    return dspy.ReActV2("claim -> titles: list[str]", tools=[search_pages], max_iters=3)


def sync_agent(dspy):
    return dspy.ReAct("claim -> titles: list[str]", tools=[search_pages])
