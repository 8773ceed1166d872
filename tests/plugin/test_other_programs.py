"""`@program` on programs that are not modules: functions, sync and async, and other callables."""

import functools

import pytest

from dspex_core.optimizers import BootstrapFewShot
from pytest_dspex import program


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


# Each says the last word of the question, in a form of its own.
PROGRAMS = """
    import asyncio
    import functools
    from dataclasses import dataclass

    from pydantic import BaseModel
    from pytest_dspex import program

    class Said(BaseModel):
        answer: str

    @dataclass
    class Noted:
        answer: str

    def last(question):
        return question.split()[-1]

    @program
    def as_text(question):
        return last(question)

    @program
    async def as_dict(question):
        await asyncio.sleep(0)
        return {"answer": last(question)}

    @program
    def as_model(question: str) -> Said:
        return Said(answer=last(question))

    @program
    def built():
        async def answer(question):
            return Noted(last(question))
        return answer

    @program
    class Called:
        def __call__(self, question):
            return Said(answer=last(question))

    bound = program(functools.partial(lambda mark, question: last(question) + mark, ""), name="bound")
"""


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("as_text", "prediction"),
        ("as_dict", "prediction['answer']"),
        ("as_model", "prediction.answer"),
        ("built", "prediction.answer"),
        ("Called", "prediction.answer"),
        ("bound", "prediction"),
    ],
)
def test_what_any_callable_returns_is_the_prediction_as_it_is(project, alone, name, read):
    project.conftest(PROGRAMS)
    project.rows("red", "blue")
    project.test(
        f"""
        import pytest
        from dspex_core import exact_match

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program={name!r})
        @pytest.mark.dspex_gate("match", min=1)
        def test_each(example, prediction, score):
            assert {read} == example.answer
            score("match", exact_match("answer")(example, prediction))

        def test_all(evaluate, {name}):
            def same(example, prediction):
                return {read} == example.answer

            assert evaluate({name}, "data.jsonl", metric=exact_match("answer")) >= 1
            assert evaluate({name}, "data.jsonl", metric=same, inputs=["question"]) >= 1
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 4}  # with the gate


def test_async_programs_share_the_event_loop_of_their_clients(project, run):
    project.conftest(
        """
        import asyncio
        from pytest_dspex import program

        LOOPS = set()

        @program
        async def answer(question):
            LOOPS.add(asyncio.get_running_loop())
            await asyncio.sleep(0.01)
            return len(LOOPS)
        """
    )
    project.rows("a", "b", "c", "d")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_it(prediction, evaluate, answer, example):
            assert prediction == 1
            assert evaluate(answer, [example], metric=lambda example, prediction: prediction == 1) >= 1
        """
    )
    assert outcomes(run()) == {"passed": 4}


@pytest.mark.parametrize("error", ["ValueError('no')", "SystemExit('no')", "KeyboardInterrupt('no')"])
def test_an_error_of_an_async_program_is_that_of_its_test_alone(project, alone, error):
    project.conftest(
        f"""
        from pytest_dspex import program

        @program
        async def answer(question):
            if "bad" in question:
                raise {error}
            return "good"
        """
    )
    project.rows("bad", "good")
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_it(evaluate, answer, example):
            ask = lambda: evaluate(answer, [example], metric=lambda example, prediction: prediction == "good")
            if example.answer == "good":
                assert ask() >= 1
            elif {error!r}.startswith("ValueError"):
                assert ask() < 1
            else:
                with pytest.raises({error.partition("(")[0]}, match="no"):
                    ask()
        """
    )
    assert outcomes(alone()) == {"passed": 2}


def test_the_local_lm_is_not_started_for_programs_with_clients_of_their_own(project, alone, monkeypatch):
    monkeypatch.setenv("DSPEX_LOCAL_MODEL", "/no/such.gguf")
    monkeypatch.delenv("DSPEX_LOCAL_SERVER", raising=False)
    project.conftest(PROGRAMS)
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_it(as_text, prediction):
            assert prediction == "red"
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}


def test_a_stored_artifact_of_a_program_that_cannot_load_it_is_one_clear_message(project, alone):
    project.conftest(PROGRAMS)
    (project.path / "artifacts").mkdir()
    (project.path / "artifacts" / "as_text.json").write_text("{}")
    project.test("def test_it(as_text): pass")
    result = alone()
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["ConfigurationError: @program 'as_text' is not a Module, so it cannot load *"])


def test_only_modules_are_compiled(project, alone):
    project.conftest(PROGRAMS)
    project.test("def test_it(as_text): pass")
    result = alone("--dspex-optimize=as_text")
    assert outcomes(result) == {"failed": 1, "passed": 1}
    result.stdout.fnmatch_lines(["*ConfigurationError: @program 'as_text' is not a Module, so it cannot be compiled*"])


async def _builds():
    raise NotImplementedError


def _answers(question):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("decorated", "options", "message"),
    [
        (_builds, {}, "@program '_builds' is async and has no parameters: "),
        (functools.partial(_answers), {}, "@program cannot name a fixture after functools.partial"),
        (lambda question: question, {}, "@program cannot name a fixture after <function <lambda>"),
        (3, {"name": "three"}, "@program 'three' decorates 3, which cannot be called"),
        (len, {}, "@program 'len' decorates <built-in function len>, which no Python file defines"),
        (_answers, {"optimizer": BootstrapFewShot(metric=len)}, "@program '_answers' has parameters, so it is the"),
    ],
)
def test_what_cannot_be_a_program_is_refused_at_once(decorated, options, message):
    with pytest.raises(TypeError) as raised:
        program(**options)(decorated)
    assert str(raised.value).startswith(message)


def test_inputs_that_a_program_does_not_name_must_be_named(project, alone):
    project.conftest(
        """
        from pytest_dspex import program

        @program
        def answer(**inputs):
            return inputs["question"]
        """
    )
    project.rows("red")
    project.test(
        """
        def test_named(evaluate, answer):
            assert evaluate(answer, "data.jsonl", metric=lambda e, p: p == e.question, inputs=["question"]) >= 1

        def test_not_named(evaluate, answer):
            evaluate(answer, "data.jsonl", metric=lambda e, p: 1)
        """
    )
    result = alone()
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["*takes any fields, so it is not known which of a row are inputs: give inputs=*"])
