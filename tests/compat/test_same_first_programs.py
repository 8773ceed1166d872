"""Small programs as users write them after DSPy's first pages, run with either library."""

import copy
import inspect
import io
import json
from contextlib import redirect_stdout
from typing import Literal

import pydantic
import pytest
from both import asking, dummy, in_real, uses

use, USES = uses()


@use
def sentiment_of_a_sentence(dspy):
    classify = dspy.Predict("sentence -> sentiment: bool")
    with asking(dspy, [{"sentiment": "True"}]):
        return classify(sentence="it's a charming and often affecting journey.").sentiment


@use
def emotions_from_a_list(dspy):
    class Emotion(dspy.Signature):
        """Classify emotion."""

        sentence: str = dspy.InputField()
        sentiment: Literal["sadness", "joy", "love", "anger", "fear", "surprise"] = dspy.OutputField()

    with asking(dspy, [{"sentiment": "fear"}]):
        found = dspy.Predict(Emotion)(sentence="i started feeling a little vulnerable")
        return found.sentiment, found.toDict(), str(found) == repr(found), "sentiment" in found


@use
def several_fields_in_one_string(dspy):
    signature = dspy.Signature("question, choices: list[str] -> reasoning: str, selection: int")
    with asking(dspy, [{"reasoning": "b is a fish", "selection": "1"}]):
        found = dspy.Predict(signature)(question="which swims?", choices=["a", "b"])
    return found.selection, list(signature.input_fields), list(signature.output_fields), list(found.keys())


@use
def instructions_of_a_string_signature(dspy):
    toxicity = dspy.Predict(
        dspy.Signature("comment -> toxic: bool", instructions="Mark as 'toxic' if the comment includes insults.")
    )
    with asking(dspy, [{"toxic": "True"}]):
        return toxicity(comment="you are a fool.").toxic, toxicity.signature.instructions


@use
def citations_checked_with_an_assertion_like_reward(dspy):
    def one_word(args, pred):
        return 1.0 if len(pred.answer.split()) == 1 else 0.0

    with asking(dspy, [{"reasoning": "r", "answer": "It is Brussels"}, {"reasoning": "r", "answer": "Brussels"}]):
        best = dspy.BestOfN(module=dspy.ChainOfThought("q -> answer"), N=3, reward_fn=one_word, threshold=1.0)
        return best(q="capital of Belgium?").answer


@use
def a_refined_answer(dspy):
    def short(args, pred):
        return 1.0 if len(pred.answer) < 10 else 0.0

    replies = [
        {"answer": "a rather long answer"},
        {"discussion": "d", "advice": json.dumps({"self": "be brief"})},
        {"answer": "short"},
    ]
    with asking(dspy, replies):
        return dspy.Refine(module=dspy.Predict("q -> answer"), N=2, reward_fn=short, threshold=1.0)(q="?").answer


@use
def several_completions(dspy):
    with asking(dspy, [{"answer": str(number)} for number in range(5)]):
        found = dspy.Predict("question -> answer", n=5)(question="?")
        return len(found.completions), found.completions.answer, found.completions[2].answer, found.answer


@use
def math_with_typed_output(dspy):
    with asking(dspy, [{"reasoning": "1/36", "answer": "0.0277776"}]):
        return dspy.ChainOfThought("question -> answer: float")(question="two dice, sum two?").answer


@use
def information_extraction(dspy):
    class ExtractInfo(dspy.Signature):
        """Extract structured information from text."""

        text: str = dspy.InputField()
        title: str = dspy.OutputField()
        headings: list[str] = dspy.OutputField()
        entities: list[dict[str, str]] = dspy.OutputField(desc="a list of entities and their metadata")

    answer = {"title": "Apple", "headings": '["Intro", "Details"]', "entities": '[{"name": "Apple", "type": "Org"}]'}
    with asking(dspy, [answer]):
        found = dspy.Predict(ExtractInfo)(text="Apple Inc. announced its latest iPhone 14 today.")
        return found.title, found.headings, found.entities


@use
def an_agent_with_tools(dspy):
    def evaluate_math(expression: str):
        return 3 * int(expression)

    def search_wikipedia(query: str) -> list[str]:
        return ["a page"]

    replies = [
        {"next_thought": "t", "next_tool_name": "search_wikipedia", "next_tool_args": '{"query": "x"}'},
        {"next_thought": "t", "next_tool_name": "evaluate_math", "next_tool_args": '{"expression": "4"}'},
        {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": "{}"},
        {"reasoning": "r", "answer": "12.0"},
    ]
    with asking(dspy, replies):
        react = dspy.ReAct("question -> answer: float", tools=[evaluate_math, search_wikipedia])
        found = react(question="?")
        return found.answer, found.trajectory, sorted(react.tools)


@use
def an_outline_and_its_sections(dspy):
    class Outline(dspy.Signature):
        """Outline a thorough overview of a topic."""

        topic: str = dspy.InputField()
        title: str = dspy.OutputField()
        sections: list[str] = dspy.OutputField()
        section_subheadings: dict[str, list[str]] = dspy.OutputField(
            desc="mapping from section headings to subheadings"
        )

    class DraftSection(dspy.Signature):
        """Draft a top-level section of an article."""

        topic: str = dspy.InputField()
        section_heading: str = dspy.InputField()
        section_subheadings: list[str] = dspy.InputField()
        content: str = dspy.OutputField(desc="markdown-formatted section")

    class DraftArticle(dspy.Module):
        def __init__(self):
            self.build_outline = dspy.ChainOfThought(Outline)
            self.draft_section = dspy.ChainOfThought(DraftSection)

        def forward(self, topic):
            outline = self.build_outline(topic=topic)
            sections = []
            for heading, subheadings in outline.section_subheadings.items():
                section = self.draft_section(
                    topic=outline.title,
                    section_heading=f"## {heading}",
                    section_subheadings=[f"### {subheading}" for subheading in subheadings],
                )
                sections.append(section.content)
            return dspy.Prediction(title=outline.title, sections=sections)

    replies = [
        {"reasoning": "r", "title": "T", "sections": '["A"]', "section_subheadings": '{"A": ["x", "y"], "B": []}'},
        {"reasoning": "r", "content": "about A"},
        {"reasoning": "r", "content": "about B"},
    ]
    with asking(dspy, replies):
        return DraftArticle()(topic="World Cup 2002").toDict()


@use
def a_class_signature_with_an_image(dspy):
    class DogPicture(dspy.Signature):
        """Output the dog breed of the dog in the image."""

        image_1: dspy.Image = dspy.InputField(desc="An image of a dog")
        answer: str = dspy.OutputField(desc="The dog breed of the dog in the image")

    lm = dummy(dspy, [{"answer": "poodle"}])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        found = dspy.Predict(DogPicture)(image_1=dspy.Image("https://picsum.photos/id/237/200/300"))
    content = lm.history[-1]["messages"][-1]["content"]
    return found.answer, [part for part in content if part["type"] == "image_url"]


@use
def a_conversation(dspy):
    class QA(dspy.Signature):
        question: str = dspy.InputField()
        history: dspy.History = dspy.InputField()
        answer: str = dspy.OutputField()

    lm = dummy(dspy, [{"answer": "Paris"}, {"answer": "Berlin"}])
    history = dspy.History(messages=[])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        predict = dspy.Predict(QA)
        for question in ("capital of France?", "and of Germany?"):
            outputs = predict(question=question, history=history)
            history.messages.append({"question": question, **outputs})
    return [message["role"] for message in lm.history[-1]["messages"]], history.messages


@use
def a_program_saved_and_loaded(dspy, tmp_path):
    program = dspy.ChainOfThought("question -> answer")
    program.predict.demos = [dspy.Example(question="1+1?", reasoning="easy", answer="2")]
    program.save(str(tmp_path / "p.json"), save_program=False)
    again = dspy.ChainOfThought("question -> answer")
    again.load(str(tmp_path / "p.json"))
    return [dict(demo) for demo in again.predict.demos], len(program.demos) if hasattr(program, "demos") else None


@use
def parts_of_a_state(dspy):
    program = dspy.ChainOfThought("question -> answer")
    state = program.dump_state()
    again = program.deepcopy()
    again.load_state(state)
    return list(state), sorted(set(state["predict"]) & {"demos", "signature"})


@use
def a_deep_copy(dspy):
    class Two(dspy.Module):
        def __init__(self):
            super().__init__()
            self.first, self.others = dspy.Predict("a -> b"), [dspy.Predict("b -> c")]
            self.by_name = {"x": dspy.ChainOfThought("c -> d")}

    program = Two()
    clone = copy.deepcopy(program)
    clone.first.demos.append({"a": "1", "b": "2"})
    return (
        len(program.first.demos),
        [name for name, _ in clone.named_predictors()],
        clone.others[0] is program.others[0],
    )


@use
def usage_of_a_call(dspy):
    with asking(dspy, [{"answer": "x"}], track_usage=True):
        return type(dspy.Predict("q -> answer")(q="?").get_lm_usage()).__name__


@use
def a_metric_with_a_judge(dspy):
    class Assess(dspy.Signature):
        """Assess the quality of a tweet along the specified dimension."""

        assessed_text = dspy.InputField()
        assessment_question = dspy.InputField()
        assessment_answer: bool = dspy.OutputField()

    def metric(gold, pred, trace=None):
        correct = dspy.Predict(Assess)(assessed_text=pred.output, assessment_question=f"Is {gold.answer} in it?")
        engaging = dspy.Predict(Assess)(assessed_text=pred.output, assessment_question="Is it engaging?")
        score = (correct.assessment_answer + engaging.assessment_answer) if len(pred.output) <= 280 else 0
        return score >= 2 if trace is not None else score / 2.0

    with asking(dspy, [{"assessment_answer": "True"}, {"assessment_answer": "False"}] * 2):
        gold, pred = dspy.Example(answer="x"), dspy.Prediction(output="hello")
        return metric(gold, pred), metric(gold, pred, trace=[])


@use
def an_optimizer_of_a_users_own(dspy):
    class Shortest(dspy.teleprompt.Teleprompter):
        def __init__(self, metric, tries=3):
            super().__init__()
            self.metric, self.tries = metric, tries

        def compile(self, student, *, trainset, teacher=None, valset=None, **kwargs):
            best, best_score = None, -1.0
            for number in range(self.tries):
                candidate = student.reset_copy()
                for _, predictor in candidate.named_predictors():
                    predictor.signature = predictor.signature.with_instructions(f"Try {number}.")
                    predictor.demos = trainset[:number]
                score = sum(self.metric(row, candidate(**row.inputs())) for row in trainset)
                if score > best_score:
                    best, best_score = candidate, score
            best._compiled = True
            return best

    rows = [dspy.Example(q="1", a="x").with_inputs("q"), dspy.Example(q="2", a="y").with_inputs("q")]
    with asking(dspy, [{"a": letter} for letter in "zzxyxz"]):
        found = Shortest(lambda row, pred: float(row.a == pred.a)).compile(dspy.Predict("q -> a"), trainset=rows)
    return found.signature.instructions, len(found.demos), found._compiled


@use
def params_of_a_teleprompter(dspy):
    class Mine(dspy.teleprompt.Teleprompter):
        def __init__(self):
            super().__init__()
            self.k = 3

        def compile(self, student, *, trainset, teacher=None, valset=None, **kwargs):
            return student

    return Mine().get_params()


@use
def a_program_of_functions(dspy):
    class Fetch(dspy.Module):
        def __init__(self, fetch):
            super().__init__()
            self.fetch = fetch
            self.answer = dspy.ChainOfThought(dspy.Signature("context: list[str], question -> answer"))

        def forward(self, question):
            context = self.fetch(question)
            return self.answer(context=context, question=question)

    with asking(dspy, [{"reasoning": "r", "answer": "x"}]):
        return Fetch(lambda question: [question.upper()])(question="why?").toDict()


@use
def typed_by_a_model(dspy):
    class Answer(pydantic.BaseModel):
        country: str
        year: int | None = None

    class QA(dspy.Signature):
        question: str = dspy.InputField()
        answer: Answer = dspy.OutputField()

    with asking(dspy, [{"answer": '{"country": "Peru", "year": 1911}'}]):
        found = dspy.Predict(QA)(question="?")
        return found.answer.country, found.answer.year, found.answer.model_dump()


@use
def a_query_result_with_attributes(dspy):
    class QueryResult(pydantic.BaseModel):
        text: str
        score: float

    signature = dspy.Signature("query: str -> result: QueryResult", custom_types={"QueryResult": QueryResult})
    with asking(dspy, [{"result": '{"text": "a", "score": 0.5}'}]):
        return dspy.Predict(signature)(query="?").result.score


@use
def nested_class_as_type(dspy):
    class MyContainer:
        class Query(pydantic.BaseModel):
            text: str

        class Score(pydantic.BaseModel):
            score: float

    signature = dspy.Signature("query: MyContainer.Query -> score: MyContainer.Score")
    with asking(dspy, [{"score": '{"score": 0.5}'}]):
        return dspy.Predict(signature)(query=MyContainer.Query(text="x")).score.score


@use
def the_prompts_printed(dspy):
    with asking(dspy, [{"answer": "x"}]):
        dspy.Predict("q -> answer")(q="what?")
        out = io.StringIO()
        with redirect_stdout(out):
            dspy.inspect_history(n=1)
    return all(text in out.getvalue() for text in ("what?", "answer", "System message", "User message", "Response"))


@use
def lm_by_hand(dspy):
    lm = dummy(dspy, [{"answer": "x"}, {"answer": "y"}])
    texts = lm("Say this!"), lm(messages=[{"role": "user", "content": "Say this!"}])
    return [type(each).__name__ for each in texts], len(lm.history), sorted(lm.history[-1])[:3]


@use
def two_lms(dspy):
    first, second = dummy(dspy, [{"answer": "1"}]), dummy(dspy, [{"answer": "2"}])
    with dspy.context(lm=first, adapter=dspy.ChatAdapter()):
        one = dspy.Predict("q -> answer")(q="?").answer
        with dspy.context(lm=second):
            two = dspy.Predict("q -> answer")(q="?").answer
    return one, two, len(first.history), len(second.history)


@use
def the_lm_of_one_predictor(dspy):
    program = dspy.ChainOfThought("q -> answer")
    lm = dummy(dspy, [{"reasoning": "r", "answer": "1"}])
    program.set_lm(lm)
    with dspy.context(adapter=dspy.ChatAdapter()):
        return program(q="?").answer, program.get_lm() is lm, len(lm.history)


@use
def lm_and_config_of_one_call(dspy):
    lm = dummy(dspy, [{"answer": "1"}])
    with dspy.context(adapter=dspy.ChatAdapter()):
        found = dspy.Predict("q -> answer")(q="?", lm=lm, config={"temperature": 0.7, "rollout_id": 3})
    return found.answer, lm.history[-1]["kwargs"].get("temperature")


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use, tmp_path):
    given = (tmp_path,) if "tmp_path" in inspect.signature(use).parameters else ()

    assert use(ours, *given) == in_real(use, real, *given)
