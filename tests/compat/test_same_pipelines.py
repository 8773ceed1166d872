"""Pipelines of the tutorials, and the modules around them, give the same in DSPy and in ours."""

import asyncio
import json

import pydantic
import pytest
import tutorials
from both import awaited, called, chat, outputs, scripted

QUESTION = "Who dives for fish in rivers?"
RESPONSE = chat(reasoning="It says so.", response="Otters do.")


def both_ways(test):
    return pytest.mark.parametrize("call", [called, awaited])(test)


def in_both(ours, real, use, replies):
    """What `use(library)` returns with the library's settings set to a script, for both."""
    found = []
    for dspy in (ours, real):
        with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
            found.append(use(dspy))
    mine, theirs = found
    return mine, theirs


def test_rag(ours, real):
    mine = outputs(ours, tutorials.rag, [RESPONSE], question=QUESTION)

    assert set(mine["context"]) == {tutorials.CORPUS[0], tutorials.CORPUS[3]}
    assert mine == outputs(real, tutorials.rag, [RESPONSE], question=QUESTION)


def test_an_index_with_lengths_and_another_k(ours, real):
    mine, theirs = (
        dspy.retrievers.Embeddings(tutorials.CORPUS, dspy.Embedder(tutorials.embed), 3, None, normalize=False)
        for dspy in (ours, real)
    )
    mine, theirs = mine(QUESTION), theirs(QUESTION)

    assert (mine.passages, mine.indices) == (theirs.passages, theirs.indices)


@both_ways
def test_several_hops(ours, real, call):
    replies = [
        chat(reasoning="First.", query="foxes dens"),
        chat(reasoning="Good.", new_notes=["Foxes dig."], titles=["Fox"]),
        chat(reasoning="Then.", query="badgers setts"),
        chat(reasoning="Good.", new_notes=["Badgers share."], titles=["Badger", "Fox"]),
    ]
    if call is awaited:  # DSPy runs no `forward` async
        mine, theirs = (outputs(dspy, tutorials.async_hop, replies, call, claim="x") for dspy in (ours, real))
    else:
        mine, theirs = (outputs(dspy, tutorials.hop, replies, call, claim="x") for dspy in (ours, real))
        assert mine["titles"] == ["Fox", "Badger"]

    assert mine["notes"][0] == "Foxes dig."
    assert mine == theirs


def test_asyncify(ours, real):
    def use(dspy):
        return dict(asyncio.run(dspy.asyncify(tutorials.rag(dspy))(question=QUESTION)).items())

    mine, theirs = in_both(ours, real, use, [RESPONSE])

    assert mine["response"] == "Otters do."
    assert mine == theirs


def test_syncify(ours, real):
    def use(dspy):
        return dict(dspy.syncify(tutorials.async_hop(dspy))(claim="x").items())

    replies = [chat(reasoning="First.", query="foxes dens"), chat(reasoning="r", new_notes=["n"], titles=["Fox"])]
    mine, theirs = in_both(ours, real, use, replies)

    assert mine == theirs == {"notes": ["n"], "titles": ["Fox"]}


BY_QUESTION = {
    "otters": chat(reasoning="r", response="They dive."),
    "foxes": chat(reasoning="r", response="They dig."),
    "herons": chat(reasoning="r", response="They stand."),
}


@pytest.mark.parametrize("form", ["examples", "dicts", "named"])
def test_parallel(ours, real, form):
    def use(dspy):
        rows = [dspy.Example(question=f"What do {who} do?").with_inputs("question") for who in BY_QUESTION]
        if form == "dicts":
            rows = [{"question": row.question} for row in rows]
        program = dspy.ChainOfThought("question -> response")
        if form == "named":
            return program.batch(rows, num_threads=2, disable_progress_bar=True)
        return dspy.Parallel(num_threads=2, disable_progress_bar=True)([(program, row) for row in rows])

    mine, theirs = in_both(ours, real, use, BY_QUESTION)

    assert [found.response for found in mine] == ["They dive.", "They dig.", "They stand."]
    assert [dict(found.items()) for found in mine] == [dict(found.items()) for found in theirs]


def test_parallel_says_what_failed(ours, real):
    def use(dspy):
        rows = [dspy.Example(question=f"What do {who} do?").with_inputs("question") for who in ("otters", "foxes")]

        def answer(question):
            if "foxes" in question:
                raise ValueError(question)
            return question.upper()

        run = dspy.Parallel(num_threads=1, max_errors=5, return_failed_examples=True, disable_progress_bar=True)
        results, failed, errors = run([(answer, row) for row in rows])
        return results, [row.question for row in failed], [str(error) for error in errors]

    mine, theirs = in_both(ours, real, use, [])

    assert mine == (["WHAT DO OTTERS DO?", None], ["What do foxes do?"], ["What do foxes do?"])
    assert mine == theirs


def short(args, prediction):
    return 1.0 if len(prediction.answer) < 5 else 0.5 if "!" not in prediction.answer else 0.0


@pytest.mark.parametrize("answers", [["far too long", "ok"], ["wrong!", "also long", "again long"], ["yes"]])
@pytest.mark.parametrize("name", ["BestOfN", "Refine"])
def test_the_best_of_several(ours, real, name, answers):
    advice = chat(discussion="Too long.", advice={"self": "Be brief."})

    def use(dspy):
        program = dspy.Predict("question -> answer")
        return getattr(dspy, name)(module=program, N=3, reward_fn=short, threshold=1.0)(question="?").answer

    replies = [chat(answer=answer) for answer in answers]
    if name == "Refine":
        replies = [reply for answer in replies for reply in (answer, advice)][:-1]
    mine, theirs = in_both(ours, real, use, replies)

    assert mine == theirs == max(answers, key=lambda answer: short({}, ours.Prediction(answer=answer)))


@pytest.mark.filterwarnings("ignore:The 'prefix' argument:DeprecationWarning")  # of DSPy, about itself
def test_multi_chain_comparison(ours, real):
    def use(dspy):
        attempts = [dspy.Prediction(rationale=f"Reason {n}", answer=f"{n}") for n in range(3)]
        return dict(dspy.MultiChainComparison("question -> answer", M=3)(attempts, question="?").items())

    mine, theirs = in_both(ours, real, use, [chat(rationale="The second.", answer="1")])

    assert mine == theirs == {"rationale": "The second.", "answer": "1"}


def test_majority(ours, real):
    def use(dspy):
        prediction = dspy.Predict("question -> answer", n=3, temperature=1.0)(question="?")
        return dspy.majority(prediction).answer, dspy.majority(prediction.completions, field="answer").answer

    mine, theirs = in_both(ours, real, use, [chat(answer=answer) for answer in ("Graz", "Linz", "graz ")])

    assert mine == theirs


def test_evaluation(ours, real):
    def use(dspy):
        rows = [
            dspy.Example(question=f"What do {who} do?", response=f"They {verb}.").with_inputs("question")
            for who, verb in [("otters", "dive"), ("foxes", "dig"), ("herons", "swim")]
        ]
        metric = lambda example, prediction, trace=None: example.response == prediction.response  # noqa: E731
        evaluate = dspy.Evaluate(
            devset=rows, metric=metric, num_threads=2, display_progress=False, display_table=False, max_errors=1
        )
        result = evaluate(dspy.ChainOfThought("question -> response"))
        return result.score, [(row.question, found.response, float(score)) for row, found, score in result.results]

    mine, theirs = in_both(ours, real, use, BY_QUESTION)

    assert mine[0] == 66.67
    assert mine == theirs


@pytest.mark.parametrize("decompositional", [False, True])
def test_a_rag_judged_by_a_model(ours, real, decompositional):
    judged = chat(reasoning="r", recall="1.0", precision="0.5")
    if decompositional:
        ideas = dict.fromkeys(("ground_truth_key_ideas", "system_response_key_ideas", "discussion"), "i")
        judged = chat(reasoning="r", **ideas, recall="1.2", precision="0.5")

    def use(dspy):
        rows = [dspy.Example(question=QUESTION, response="Otters do.").with_inputs("question")]
        metric = dspy.evaluate.SemanticF1(decompositional=decompositional)
        result = dspy.Evaluate(devset=rows, metric=metric, num_threads=1)(tutorials.rag(dspy))
        return result.score, metric(rows[0], dspy.Prediction(response="No."), trace=[]).score

    mine, theirs = in_both(ours, real, use, [RESPONSE, judged, judged])

    assert mine == theirs == (66.67, True)


def test_the_file_of_an_evaluation(ours, real, tmp_path):
    def use(dspy):
        rows = [dspy.Example(question="What do otters do?", response="They dive.").with_inputs("question")]
        metric = lambda example, prediction, trace=None: example.response == prediction.response  # noqa: E731
        path = tmp_path / f"{dspy.__name__}.json"
        dspy.Evaluate(devset=rows, metric=metric, save_as_json=str(path))(dspy.ChainOfThought("question -> response"))
        return json.loads(path.read_text())

    mine, theirs = in_both(ours, real, use, BY_QUESTION)

    assert mine == theirs


def test_a_bootstrapped_rag(ours, real):
    def use(dspy):
        rows = [dspy.Example(question=QUESTION, response="Otters do.").with_inputs("question")]
        metric = lambda example, prediction, trace=None: example.response == prediction.response  # noqa: E731
        compiled = dspy.BootstrapFewShot(metric=metric).compile(tutorials.rag(dspy), trainset=rows)
        demos = [{n: v for n, v in dict(demo).items() if n != "augmented"} for demo in compiled.respond.predict.demos]
        return demos, compiled(question=QUESTION).response

    mine, theirs = in_both(ours, real, use, [RESPONSE] * 2)

    assert (len(mine[0]), len(mine[0][0]["context"]), mine[1]) == (1, 2, "Otters do.")
    assert mine == theirs


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def sent(dspy, make, **inputs):
    """Return the contents of the messages that a program sends."""
    heard = []
    lm = scripted(dspy, [chat(answer="ok")])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter(), callbacks=[recording(dspy, heard)]):
        make(**inputs)
    return heard[0]


def recording(dspy, heard):
    base = dspy.BaseCallback if hasattr(dspy, "BaseCallback") else dspy.utils.callback.BaseCallback

    class Recording(base):
        def on_adapter_format_end(self, call_id, outputs, exception):
            heard.append(outputs)

    return Recording()


def test_an_image_is_a_part_of_the_message(ours, real):
    found = []
    for dspy in (ours, real):

        class Look(dspy.Signature):
            picture: dspy.Image = dspy.InputField()
            question: str = dspy.InputField()
            answer: str = dspy.OutputField()

        messages = sent(dspy, dspy.Predict(Look), picture=dspy.Image(PIXEL), question="What is it?")
        found.append([part for part in messages[-1]["content"] if part["type"] == "image_url"])

    assert found[0][0]["image_url"]["url"] == PIXEL
    assert found[0] == found[1]


def test_a_history_becomes_earlier_turns(ours, real):
    found = []
    for dspy in (ours, real):

        class Talk(dspy.Signature):
            question: str = dspy.InputField()
            history: dspy.History = dspy.InputField()
            answer: str = dspy.OutputField()

        history = dspy.History(messages=[{"question": "Who?", "answer": "Otters."}])
        messages = sent(dspy, dspy.Predict(Talk), question="Why?", history=history)
        found.append([(message["role"], "Otters." in message["content"]) for message in messages])

    assert found[0] == [("system", False), ("user", False), ("assistant", True), ("user", False)]
    assert found[0] == found[1]


def test_a_type_of_the_users_own(ours, real):
    found = []
    for dspy in (ours, real):

        class Event(dspy.Type):
            what: str
            year: int

            def format(self):
                return f"<{self.what} in {self.year}>"

        class Tell(dspy.Signature):
            event: Event = dspy.InputField()
            answer: str = dspy.OutputField()

        messages = sent(dspy, dspy.Predict(Tell), event=Event(what="Flood", year=1990))
        found.append("<Flood in 1990>" in messages[-1]["content"])

    assert found == [True, True]


class Fact(pydantic.BaseModel):
    who: str
    verb: str


def test_code_and_models_as_outputs(ours, real):
    def use(dspy):
        class Write(dspy.Signature):
            question: str = dspy.InputField()
            facts: list[Fact] = dspy.OutputField()
            program: dspy.Code["python"] = dspy.OutputField()  # noqa: F821  the language

        found = dspy.Predict(Write)(question="?")
        return found.facts, found.program.code.strip()

    mine, theirs = in_both(
        ours, real, use, [chat(facts=[{"who": "Otter", "verb": "dives"}], program="```python\nprint(1)\n```")]
    )

    assert mine == theirs == ([Fact(who="Otter", verb="dives")], "print(1)")
