"""`@program`: programs as fixtures."""

import json
from pathlib import Path

import pytest

from dspex_core import Example, Predict
from pytest_dspex.programs import read_examples


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


@pytest.fixture
def artifact(project):
    """Write an artifact of the program `qa` with these instructions; return its path."""

    def write(instructions, folder="artifacts"):
        made = Predict("question -> answer")
        made.signature = made.signature.with_instructions(instructions)
        path = project.path / folder / "qa.json"
        made.save(path)
        return path

    return write


INSTRUCTIONS = """
    def test_instructions(qa):
        assert qa.signature.instructions == {instructions!r}
"""


def test_a_program_is_a_fixture_as_it_was_built(project, alone):
    default = Predict("question -> answer").signature.instructions
    project.test(INSTRUCTIONS.format(instructions=default))
    assert outcomes(alone()) == {"passed": 1}


def test_a_compiled_artifact_is_loaded_where_there_is_one(project, alone, artifact):
    artifact("Answer with one word.")
    project.test(INSTRUCTIONS.format(instructions="Answer with one word."))
    assert outcomes(alone()) == {"passed": 1}


def test_all_tests_share_one_program(project, alone):
    project.test(
        """
        seen = []

        def test_one(qa):
            seen.append(qa)

        def test_two(qa):
            assert seen == [qa]
        """
    )
    assert outcomes(alone()) == {"passed": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not an artifact, as it is not JSON: *"),
        ("[]", "is JSON, but not a dspex artifact: *"),
        (
            json.dumps(
                {"format": "dspex-artifact", "version": 1, "kind": "program", "metadata": {}, "state": {"other": {}}}
            ),
            "the state does not fit *",
        ),
    ],
)
def test_a_broken_artifact_is_one_clear_message(project, alone, artifact, content, message):
    artifact("").write_text(content)
    project.test()
    project.rows("red")
    result = alone()
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines([f"ArtifactError: {project.path}/artifacts/qa.json: {message}"])
    result.stdout.no_fnmatch_line("*programs.py*")


def test_the_nearest_definition_wins(project, alone):
    nearer = "from dspex_core import Predict\nfrom pytest_dspex import program\n\n@program\ndef qa():\n    return {}\n"
    project.rows("red", name="sub/data.jsonl")
    (project.path / "sub" / "conftest.py").write_text(nearer.format('Predict("question -> answer, nearer")'))
    test = (
        "import pytest\n\n"
        '@pytest.mark.dspex_data("data.jsonl", inputs=["question"])\n'
        "def test_sub(example, qa, request):\n"
        '    assert "{}" in qa.signature.output_fields\n'
        "    assert request.node.stash\n"
    )
    (project.path / "sub" / "test_sub.py").write_text(test.format("nearer"))
    (project.path / "sub" / "test_own.py").write_text(
        nearer.format('Predict("question -> answer, own")') + test.format("own")
    )
    project.test("def test_top(qa):\n    assert list(qa.signature.output_fields) == ['answer']")
    assert outcomes(alone()) == {"passed": 3}


def test_a_prediction_is_made_by_the_nearest_program_of_the_name(project, alone):
    project.rows("red", name="sub/data.jsonl")
    (project.path / "sub" / "conftest.py").write_text(
        "from dspex_core import Module, Prediction\nfrom pytest_dspex import program\n\n"
        "class Fixed(Module):\n    def forward(self, question):\n        return Prediction(answer='nearer')\n\n"
        "@program\ndef qa():\n    return Fixed()\n"
    )
    (project.path / "sub" / "test_sub.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.dspex_data("data.jsonl", inputs=["question"])\n'
        "def test_sub(prediction):\n"
        "    assert prediction.answer == 'nearer'\n"
    )
    assert outcomes(alone()) == {"passed": 1}


def test_a_test_that_uses_one_of_two_programs_is_predicted_by_that_one(project, alone):
    project.conftest(more="@program\ndef other():\n    return Predict('question -> answer')")
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_used(qa, prediction):
            assert prediction.answer == "red"

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="other")
        def test_named(prediction, qa):
            assert prediction.answer == "red"
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 2}


def test_what_else_stands_in_a_module_is_left_alone(project, alone):
    project.test(
        """
        class Proxy:
            # like werkzeug's: it raises when it is asked for anything outside of a request
            def __getattribute__(self, name):
                raise RuntimeError("working outside of a context")

        request = Proxy()

        def test_it(qa):
            pass
        """
    )
    assert outcomes(alone()) == {"passed": 1}


# Datasets of programs


def rows(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_inputs_of_a_row_are_those_of_the_program(tmp_path):
    rows(tmp_path / "data.jsonl", {"question": "Why?", "answer": "So.", "source": "a book"})
    (example,) = read_examples("data.jsonl", tmp_path, program=Predict("question, context -> answer"), inputs=None)
    assert example.input_keys == {"question"}


def test_inputs_that_are_named_are_those(tmp_path):
    rows(tmp_path / "data.jsonl", {"question": "Why?", "source": "a book"})
    path = Path("data.jsonl")
    (example,) = read_examples(path, tmp_path, program=Predict("question -> answer"), inputs=["source"])
    assert example.input_keys == {"source"}


def test_examples_are_taken_as_they_are(tmp_path):
    given = (Example(question="Why?").with_inputs("question"),)
    assert read_examples(given, tmp_path, program=Predict("question -> answer"), inputs=None) == list(given)


def test_a_program_that_is_a_function_says_no_inputs(tmp_path):
    rows(tmp_path / "data.jsonl", {"question": "Why?"})
    (example,) = read_examples("data.jsonl", tmp_path, program=print, inputs=None)
    assert example.input_keys == set()


def test_a_builder_that_returns_no_program_is_one_clear_message(project, alone):
    project.conftest(more="@program\ndef forgetful():\n    Predict('question -> answer')\n")
    project.test("def test_it(forgetful): pass")
    result = alone()
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(
        ["ConfigurationError: @program 'forgetful' returned None; return a Module, such as Predict(...), or another *"]
    )
