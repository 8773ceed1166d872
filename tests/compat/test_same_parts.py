"""The small things that every program is made of answer alike in DSPy and in ours."""

import asyncio

import numpy as np
import pytest
import tutorials
import user_code
from both import chat, in_real, outputs, scripted
from openai_server import OpenAIServer


def in_both(ours, real, use):
    return use(ours), in_real(use, real)


class TestExamples:
    def test_inputs_and_labels(self, ours, real):
        def use(dspy):
            row = dspy.Example(question="q", answer="a", context=["c"]).with_inputs("question", "context")
            changed = row.copy(answer="b").without("context")
            return (
                dict(row.inputs().items()),
                dict(row.labels().items()),
                list(row.keys()),
                row.toDict(),
                (row.question, row["answer"], "context" in row, len(row), row.get("no", 1)),
                dict(changed.items()),
                row == dspy.Example(question="q", answer="a", context=["c"]),
            )

        mine, theirs = in_both(ours, real, use)

        assert mine[0] == {"question": "q", "context": ["c"]}
        assert mine == theirs

    def test_a_row_of_data_made_one(self, ours, real):
        def use(dspy):
            rows = [{"question": "q", "answer": "a"}]
            return [dspy.Example(**row).with_inputs("question").labels().answer for row in rows]

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == ["a"]

    def test_predictions_compare_by_their_score(self, ours, real):
        def use(dspy):
            low, high = dspy.Prediction(score=0.25), dspy.Prediction(score=0.75, feedback="good")
            return low < high, high >= 0.5, float(high), low + high, sum([low, high], 0.0) / 2

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == (True, True, 0.75, 1.0, 0.5)

    def test_several_completions(self, ours, real):
        def use(dspy):
            with dspy.context(lm=scripted(dspy, [chat(answer=text) for text in "abc"]), adapter=dspy.ChatAdapter()):
                found = dspy.Predict("question -> answer", n=3, temperature=1.0)(question="?")
            return found.answer, found.completions.answer, found.completions[1].answer, len(found.completions)

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == ("a", ["a", "b", "c"], "b", 3)


class TestSignatures:
    def test_changed_ones(self, ours, real):
        def use(dspy):
            made = dspy.Signature("question, context: list[str] -> answer: float", "Answer.")
            made = made.append("sure", dspy.OutputField(desc="how sure"), bool).prepend("name", dspy.InputField())
            made = (
                made.insert(1, "hint", dspy.InputField(), str)
                .delete("context")
                .with_updated_fields("answer", type_=int)
            )
            made = made.with_instructions(made.instructions + " Briefly.")
            return (
                made.instructions,
                {name: str(field.annotation) for name, field in made.input_fields.items()},
                {name: str(field.annotation) for name, field in made.output_fields.items()},
                list(made.fields),
            )

        mine, theirs = in_both(ours, real, use)

        assert mine[3] == ["name", "hint", "question", "answer", "sure"]
        assert mine == theirs

    @pytest.mark.parametrize(
        "written",
        [
            "question -> answer",
            "a: int, b: list[dict[str, float]] -> c: Literal['x', 'y'], d: Optional[bool]",
            "text: str | None -> tags: set[str], pair: tuple[int, str]",
        ],
    )
    def test_strings(self, ours, real, written):
        def use(dspy):
            fields = dspy.Signature(written).fields.items()
            return {name: str(field.annotation).replace("typing.", "") for name, field in fields}

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs


class TestPrograms:
    def test_their_parts(self, ours, real):
        def use(dspy):
            program = user_code.pipeline(dspy)
            program.classify.demos = [dspy.Example(message="m", intent="other")]
            copy, reset = program.deepcopy(), program.reset_copy()
            lm = scripted(dspy, [])
            copy.set_lm(lm)
            return (
                [name for name, _ in program.named_predictors()],
                len(copy.classify.demos),
                len(reset.classify.demos),
                copy.get_lm() is lm,
                program.classify.lm is None,
            )

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == (["classify", "steps[0].predict", "steps[1]"], 1, 0, True, True)

    def test_the_config_of_a_call(self, ours, real):
        def use(dspy):
            with OpenAIServer(chat(answer="a")) as server:
                lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False, max_tokens=50)
                settings = {"recorder": None, "replay_only": False} if dspy.__name__ == "dspex_core" else {}
                with dspy.context(adapter=dspy.ChatAdapter(), **settings):
                    dspy.Predict("question -> answer", temperature=0.5)(question="?", config={"top_p": 0.5}, lm=lm)
                sent = server.requests[0].body
            return {name: sent[name] for name in ("model", "temperature", "top_p", "max_tokens")}

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == {"model": "gpt-4o-mini", "temperature": 0.5, "top_p": 0.5, "max_tokens": 50}

    def test_a_default_of_the_settings(self, ours, real):
        def use(dspy):
            before = dspy.settings.lm
            first, second = scripted(dspy, [chat(answer="first")]), scripted(dspy, [chat(answer="second")])
            with dspy.context(lm=first):
                with dspy.context(lm=second):
                    inner = dspy.Predict("question -> answer")(question="?").answer
                outer = dspy.Predict("question -> answer")(question="?").answer
                inside = dspy.settings.lm is first
            return inner, outer, inside, dspy.settings.lm is before

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == ("second", "first", True, True)


@pytest.mark.parametrize("asked", [{"prompt": "Hi."}, {"messages": [{"role": "user", "content": "Hi."}], "n": 2}])
@pytest.mark.parametrize("manner", ["sync", "async"])
def test_an_lm_by_itself(ours, real, asked, manner):
    def use(dspy):
        with OpenAIServer("Hello.") as server:
            lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False, temperature=0.5)
            settings = {"recorder": None, "replay_only": False} if dspy.__name__ == "dspex_core" else {}
            with dspy.context(**settings):
                found = lm(**asked) if manner == "sync" else asyncio.run(lm.acall(**asked))
            return found, server.requests[0].body["messages"], server.requests[0].body["temperature"], len(lm.history)

    mine, theirs = in_both(ours, real, use)

    assert mine == theirs == (["Hello."] * asked.get("n", 1), [{"role": "user", "content": "Hi."}], 0.5, 1)


class TestDemos:
    ROWS = (("Otters dive.", "otter"), ("Foxes dig.", "fox"), ("Herons stand.", "heron"))

    def rows(self, dspy):
        return [dspy.Example(text=text, animal=animal).with_inputs("text") for text, animal in self.ROWS]

    def test_an_embedder(self, ours, real):
        mine, theirs = in_both(ours, real, lambda dspy: dspy.Embedder(tutorials.embed)(["otters dive", "foxes"]))

        assert np.array_equal(mine, theirs)
        assert asyncio.run(ours.Embedder(tutorials.embed).acall(["foxes"])).shape == (1, len(tutorials.WORDS))

    def test_the_nearest_examples(self, ours, real):
        def use(dspy):
            nearest = dspy.KNN(k=2, trainset=self.rows(dspy), vectorizer=dspy.Embedder(tutorials.embed))
            return {row.animal for row in nearest(text="Herons and otters stand.")}

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == {"otter", "heron"}

    def test_labeled_ones(self, ours, real):
        def use(dspy):
            program = dspy.Predict("text -> animal")
            compiled = dspy.LabeledFewShot(k=3).compile(program, trainset=self.rows(dspy))
            return {demo["animal"] for demo in compiled.demos}, list(program.demos)

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == ({"otter", "fox", "heron"}, [])

    def test_bootstrapped_ones(self, ours, real):
        def use(dspy):
            rows, animals = self.rows(dspy), dict(self.ROWS)
            replies = {text: chat(reasoning="r", animal=animal) for text, animal in animals.items()}
            replies["Foxes"] = chat(reasoning="r", animal="cat")  # of the first two only one is right
            replies = {
                "Otters": replies.pop("Otters dive."),
                "Foxes": replies["Foxes"],
                "Herons": replies["Herons stand."],
            }
            optimizer = dspy.BootstrapFewShot(
                metric=lambda row, found, trace=None: row.animal == found.animal,
                max_bootstrapped_demos=2,
                max_labeled_demos=0,
            )
            with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
                compiled = optimizer.compile(dspy.ChainOfThought("text -> animal"), trainset=rows)
            return [demo["animal"] for demo in compiled.predict.demos]

        mine, theirs = in_both(ours, real, use)

        assert mine == theirs == ["otter", "heron"]


def test_demos_and_instructions_are_used(ours, real):
    replies = {"Money": chat(intent="refund", confidence="1.0")}

    mine, theirs = (
        outputs(dspy, lambda dspy: user_code.with_demos(dspy).classify, replies, message="Money back!")
        for dspy in (ours, real)
    )

    assert mine == theirs == {"intent": "refund", "confidence": 1.0}
