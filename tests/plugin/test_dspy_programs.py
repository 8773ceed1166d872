"""`@program` on programs of DSPy and LangChain, and the alias of DSPy."""

import json
import re
from pathlib import Path
from textwrap import indent

import pytest
import real_dspy

DOCS = Path(__file__).parents[2] / "docs" / "other-libraries.md"

USAGE_ERROR = 4

PROGRAM = """
    import dspy

    @program
    def qa():
        return dspy.Predict("question -> answer")
"""

GATED = """
    import pytest
    from dspex_core import exact_match

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("match", min=1, max_drop=0)
    def test_qa(example, prediction, score):
        assert prediction.answer == example.answer
        score("match", exact_match("answer")(example, prediction))

    def test_all(evaluate, qa):
        assert evaluate(qa, "data.jsonl", metric=exact_match("answer")) >= 1
"""

OPTIMIZED = """
    import dspex_core
    import dspy
    import pytest
    from dspex_core import ScriptedLM, exact_match
    from pytest_dspex import program

    def reply(request):
        shows_demos = len(request.messages) > 2
        word = request.messages[-1].content.split("Say ")[-1].split()[0]
        return {"answer": word if shows_demos else "wrong"}

    @pytest.fixture(scope="session")
    def lm():
        return ScriptedLM(reply)

    class Asking(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict(dspy.Signature("question -> answer", "Say it."))

        def forward(self, question):
            return self.ask(question=question)

    @program(optimizer=OPTIMIZER, metric=exact_match("answer"), trainset="train.jsonl", inputs=["question"])
    def qa():
        return Asking()
"""


AROUND_DOCS = """
import pytest
from dspex_core import ScriptedLM
from langchain_core.runnables import RunnableLambda

model = RunnableLambda(lambda value: value.to_string().split()[-1])

@pytest.fixture(scope="session")
def lm():
    return ScriptedLM(lambda request: {"reasoning": "r", "intent": request.messages[-1].text.split()[5]})

"""

TEST_OF_DOCS = """
import dspy
import pytest
from dspex_core import exact_match

@pytest.mark.dspex_data("test.jsonl", inputs=["text"], program="intent")
def test_it(example, prediction):
    assert prediction.intent == example.intent

def test_a_runnable(answer):
    assert answer(question="Is it wet?") == "wet?"

def test_converting(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    theirs = dspy.ChainOfThought("text -> intent")
    theirs.predict.demos = [dspy.Example(text="a", reasoning="r", intent="b")]
    theirs.save("saved_by_dspy.json")
CONVERTING
    assert again.dump_state() == theirs.dump_state()
"""


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


@pytest.fixture(scope="module")
def dspy(tmp_path_factory):
    """Import DSPy once for all sessions in this process."""
    with real_dspy.imported(tmp_path_factory.mktemp("dspy-cache")) as library:
        yield library


def test_a_module_of_dspy_is_recorded_gated_and_replayed(dspy, project, alone, on_two_workers):
    project.conftest(more=PROGRAM)
    project.rows("red", "blue", "green")
    project.test(GATED)
    assert outcomes(alone("--dspex-record=new", "--dspex-update-baseline")) == {"passed": 5, "skipped": 1}
    assert sorted(set(project.calls)) == ["Say blue", "Say green", "Say red"]
    assert len(project.entries()) == 3

    project.forget_calls()
    assert outcomes(alone()) == {"passed": 6}
    assert outcomes(on_two_workers()) == {"passed": 6}
    assert project.calls == []

    project.rows("red", "black")
    missing = alone()
    assert outcomes(missing)["failed"] >= 1
    missing.stdout.fnmatch_lines(["*black*"])


@pytest.mark.parametrize("optimizer", ["dspy.LabeledFewShot(k=2)", "dspex_core.LabeledFewShot(k=2)"])
def test_it_is_recompiled_by_optimizers_of_both_and_its_artifact_can_be_stale(dspy, project, alone, optimizer):
    source = OPTIMIZED.replace("OPTIMIZER", optimizer)
    project.conftest(source)
    project.rows(*(f"t{number}" for number in range(4)), name="train.jsonl")
    project.rows(*(f"w{number}" for number in range(20)))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction):
            assert prediction.answer == example.answer
        """
    )
    assert outcomes(alone("--dspex-live")) == {"failed": 20}
    result = alone("--dspex-live", "--dspex-optimize")
    assert outcomes(result) == {"passed": 21}
    result.stdout.fnmatch_lines([f"optimize qa: * compiling with {optimizer.removeprefix('dspex_core.').rstrip(')')}*"])
    artifact = json.loads((project.path / "artifacts" / "qa.json").read_text())
    assert len(artifact["state"]["ask"]["demos"]) == 2
    assert artifact["metadata"]["mean"] == 1
    assert outcomes(alone("--dspex-live")) == {"passed": 20}

    project.conftest(source.replace("Say it.", "Say it loudly."))
    stale = alone("--dspex-live")
    assert stale.ret != 0
    stale.stderr.fnmatch_lines(
        ["*artifacts/qa.json is stale*", "*- ask: instructions: Say it.", "*+ ask: instructions: *"]
    )


def test_a_runnable_of_langchain_gets_the_inputs_as_a_dict(project, alone):
    project.conftest(
        """
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_core.runnables import RunnableLambda
        from pytest_dspex import program

        async def last(value):
            return {"answer": value["question"].split()[-1]}

        @program
        def prompted():
            template = ChatPromptTemplate.from_template("{question}")
            return template | (lambda value: {"answer": value.to_string().split()[-1]})

        @program
        def sync():
            return RunnableLambda(lambda value: {"answer": value["question"].split()[-1]})

        @program
        def awaited():
            return RunnableLambda(last)

        @program
        def nested():
            return {"found": RunnableLambda(last)} | RunnableLambda(lambda value: value["found"])

        @program
        def keyword():
            return ChatPromptTemplate.from_template("{class}") | (lambda value: value.to_string())
        """
    )
    project.rows("red", "blue")
    project.test(
        """
        import pytest
        from dspex_core import exact_match

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="sync")
        def test_each(example, prediction):
            assert prediction["answer"] == example.answer

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="prompted")
        def test_a_template(example, prediction):
            assert prediction["answer"] == example.answer

        def test_all(evaluate, prompted, sync, awaited, nested, keyword):
            for program in (prompted, sync, awaited, nested):
                assert evaluate(program, "data.jsonl", metric=exact_match("answer"), inputs=["question"]) >= 1
            assert keyword(**{"class": "x"}) == "Human: x"
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 5}


def test_the_code_of_the_docs_runs(dspy, project, alone):
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    [program] = [block for block in blocks if block.startswith("import dspy")]
    [converting] = [block for block in blocks if "from_dspy" in block]
    [runnable] = [block for block in blocks if "langchain" in block]
    project.conftest(AROUND_DOCS + program + runnable)
    for name, words in {"train": ["refund", "delivery"], "test": ["cancel", "other"]}.items():
        rows = "".join(json.dumps({"text": word, "intent": word}) + "\n" for word in words)
        (project.path / f"{name}.jsonl").write_text(rows)
    project.test(TEST_OF_DOCS.replace("CONVERTING", indent(converting, "    ")))
    result = alone("--dspex-live", "--dspex-optimize")
    assert "failed" not in outcomes(result), result.stdout.str()
    assert outcomes(result)["passed"] >= 4
    result.stdout.fnmatch_lines(["optimize intent: * compiling with dspy.BootstrapFewShot*"])


def test_the_alias_is_there_before_the_conftest(pytester):
    pytester.makeini("[pytest]\ndspex_dspy_alias = true")
    pytester.makeconftest("import dspy\nfrom dspy.teleprompt import MIPROv2")
    pytester.makepyfile(
        """
        import pickle
        import sys

        def test_it():
            import dspex_core
            import dspy
            import dspy.utils.callback
            from dspy.primitives.prediction import Prediction

            assert dspy is dspex_core
            assert sys.modules["dspy.utils.callback"] is sys.modules["dspex_core.utils.callback"]
            assert dspy.utils.callback.__spec__.name == "dspex_core.utils.callback"
            assert pickle.loads(pickle.dumps(Prediction(a=1))) == dspex_core.Prediction(a=1)
        """
    )
    result = pytester.runpytest_subprocess("-s", "-p", "no:langsmith_plugin")
    result.assert_outcomes(passed=1)


def test_the_alias_is_refused_where_dspy_itself_is_loaded(dspy, pytester, alone):
    pytester.makeini("[pytest]\ndspex_dspy_alias = true")
    pytester.makepyfile("def test_it(): pass")
    result = alone()
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*dspex_dspy_alias: dspy cannot be an alias of dspex_core, since DSPy itself is loaded*"]
    )
