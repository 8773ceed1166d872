"""Compiled artifacts in use: the header names them, and one whose source has changed stops the session."""

import json

import pytest

from dspex_core import Predict

USAGE_ERROR = 4

CONFTEST = '''
    from pathlib import Path

    import pytest
    from dspex_core import Example, InputField, LabeledFewShot, OutputField, Predict, ScriptedLM, Signature, exact_match
    from dspex_core import Module
    from pytest_dspex import program

    CALLS = Path(__file__).with_name("calls.txt")
    MODEL = "scripted"

    def reply(request):
        word = request.messages[-1].content.split("Say ")[-1].split()[0]
        with CALLS.open("a") as calls:
            calls.write(word + "\\n")
        return {"answer": word if len(request.messages) > 2 else "wrong"}

    @pytest.fixture(scope="session")
    def lm():
        return ScriptedLM(reply, model=MODEL)

    class Echo(Signature):
        """Answer with the last word."""

        question: str = InputField(desc="what to say")
        answer: str = OutputField()

    MOST = 3

    def tidy(text):
        """Take the blanks away."""
        return text.strip()  # on both sides

    class Asking(Module):
        def __init__(self, most):
            super().__init__()
            self.ask = Predict(Echo)
            self.most, self.asked = most, 0

        def forward(self, question):
            """Ask for a tidy question."""
            self.asked += 1
            return self.ask(question=tidy(question))

    @program(optimizer=LabeledFewShot(4), metric=exact_match("answer"), trainset="train.jsonl", valset="val.jsonl")
    def qa():
        return Predict(Echo)
'''
WITH_FORWARD = ("    return Predict(Echo)", "    return Asking(most=3)")

TEST = """
    import pytest

    @pytest.mark.dspex_data("test.jsonl", inputs=["question"])
    def test_qa(example, prediction):
        assert prediction.answer == example.answer
"""

WORDS = tuple(f"w{number}" for number in range(8))


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


@pytest.fixture
def compiled(project, alone, request):
    """Write a project with a compiled artifact; return it, and the function that edits its conftest."""
    assert WITH_FORWARD[0] in CONFTEST
    project.conftest(CONFTEST.replace(*getattr(request, "param", ("", ""))))
    project.rows(*(f"t{number}" for number in range(6)), name="train.jsonl")
    project.rows("v0", "v1", name="val.jsonl")
    project.rows(*WORDS, name="test.jsonl")
    project.test(TEST)
    result = alone("--dspex-optimize", "--dspex-live")
    assert result.ret == 0, result.stdout.str()
    project.forget_calls()

    def edit(old, new):
        path = project.path / "conftest.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        for cached in (project.path / "__pycache__").glob("conftest*"):
            cached.unlink()

    project.edit = edit
    project.artifact = project.path / "artifacts" / "qa.json"
    return project


EDITS = {
    "docstring": ("Answer with the last word.", "Answer with the last word only."),
    "desc": ('desc="what to say"', 'desc="what to repeat"'),
    "type": ("answer: str", "answer: str | None"),
    "class": ("Predict(Echo)", "ChainOfThought(Echo)"),
    "config": ("Predict(Echo)", "Predict(Echo, temperature=0.5)"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_of_the_source_stops_the_session_before_the_lm_is_asked(compiled, alone, edit):
    compiled.edit(*edit)
    compiled.edit("import Example,", "import ChainOfThought, Example,")
    result = alone("--dspex-live")
    assert result.ret == USAGE_ERROR
    assert compiled.calls == []
    result.stderr.fnmatch_lines(
        [
            "ERROR: artifacts/qa.json is stale: the source of @program 'qa' has changed since it was compiled (*",
            "  [-+] *",
            "*--dspex-optimize=qa*delete the file*--dspex-artifacts=ignore*",
        ]
    )
    assert "Traceback" not in result.stderr.str()
    assert result.stderr.str().count("ERROR") == 1


CODE_EDITS = {
    "forward": ("question=tidy(question)", "question=question", "code of Asking.forward: *"),
    "helper": ("text.strip()", "text.lstrip()", "code of tidy: *"),
    "number": ("Asking(most=3)", "Asking(most=4)", "self: most = 4"),
}


@pytest.mark.parametrize("compiled", [WITH_FORWARD], indirect=True)
def test_an_edit_of_what_a_program_runs_stops_the_session_and_one_of_its_words_to_people_does_not(compiled, alone):
    compiled.edit("# on both sides", "# left and right")
    compiled.edit("Ask for a tidy question.", "Ask for a question.")
    assert outcomes(alone("--dspex-live")) == {"passed": 8}
    compiled.forget_calls()
    for old, new, line in CODE_EDITS.values():
        compiled.edit(old, new)
        result = alone("--dspex-live")
        assert result.ret == USAGE_ERROR
        result.stderr.fnmatch_lines([f"  + {line}"])
        compiled.edit(new, old)
    assert compiled.calls == []


@pytest.mark.parametrize("compiled", [WITH_FORWARD], indirect=True)
def test_an_artifact_that_does_not_say_of_which_code_it_is_says_so(compiled, alone):
    artifact = json.loads(compiled.artifact.read_text())
    del artifact["provenance"]["fingerprint"]["source"]["code"]
    compiled.artifact.write_text(json.dumps(artifact))
    compiled.edit(*CODE_EDITS["forward"][:2])
    result = alone("--dspex-live")
    assert outcomes(result) == {"passed": 8}
    result.stdout.fnmatch_lines(["artifacts/qa.json: *; it does not say of which code, so *"])


def test_workers_stop_at_a_stale_artifact_with_one_message(compiled, on_two_workers):
    compiled.edit(*EDITS["docstring"])
    result = on_two_workers("--dspex-live")
    assert result.ret == USAGE_ERROR
    assert compiled.calls == []
    assert result.stdout.str().count("artifacts/qa.json is stale") == 1


@pytest.mark.parametrize("way_out", ["--dspex-optimize=qa", "--dspex-artifacts=ignore", "delete"])
def test_each_way_out_that_the_message_names_is_one(compiled, alone, way_out):
    compiled.edit(*EDITS["docstring"])
    if way_out == "delete":
        compiled.artifact.unlink()
    result = alone("--dspex-live", *([way_out] if way_out != "delete" else []))
    assert result.ret != USAGE_ERROR
    assert len(compiled.calls) >= len(WORDS)
    if way_out == "--dspex-optimize=qa":
        assert alone("--dspex-live").ret == 0
        assert "Answer with the last word only." in compiled.artifact.read_text()


def test_what_is_collected_only_is_not_stopped(compiled, alone):
    compiled.edit(*EDITS["docstring"])
    result = alone("--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["artifacts/qa.json: is stale: *"])


def test_a_stale_artifact_that_no_selected_test_uses_stops_nothing(compiled, alone):
    compiled.edit(*EDITS["docstring"])
    compiled.test("def test_other(): pass", name="test_other")
    assert outcomes(alone("test_other.py")) == {"passed": 1}


def test_an_artifact_in_use_is_named_with_what_it_is(compiled, alone):
    result = alone("--dspex-live")
    assert outcomes(result) == {"passed": 8}
    result.stdout.re_match_lines(
        [r"artifacts/qa\.json: LabeledFewShot\(k=4, seed=0\), \d{4}-\d\d-\d\d, exact_match 1\.000, n=8$"]
    )
    result.stdout.no_fnmatch_line("*compiled from another*")


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            ("LabeledFewShot(4)", "LabeledFewShot(3)"),
            "optimizer (LabeledFewShot(k=4, seed=0) then, *(k=3*",
        ),
        (('exact_match("answer")', 'exact_match("answer", normalize=False)'), "metric (*"),
        (('valset="val.jsonl"', "valset=None"), "valset (2 rows then, none now)*"),
        (('trainset="train.jsonl"', 'trainset=[Example(question="Say x", answer="x")]'), "trainset (6 rows then, 1 *"),
    ],
)
def test_other_data_or_another_optimizer_is_said_in_the_header_and_in_the_summary(compiled, alone, edit, line):
    compiled.edit(*edit)
    result = alone("--dspex-live")
    assert outcomes(result) == {"passed": 8}
    said = f"artifacts/qa.json: compiled from another {line}"
    result.stdout.fnmatch_lines([said, "*= dspex =*", said])


def test_rows_that_changed_are_said_and_a_new_layout_of_the_file_is_not(compiled, alone):
    train = compiled.path / "train.jsonl"
    rows = [json.loads(line) for line in train.read_text().splitlines()]
    train.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    alone("--dspex-live").stdout.no_fnmatch_line("*compiled from another*")
    rows[0]["answer"] = "other"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = alone("--dspex-live")
    result.stdout.fnmatch_lines(["*compiled from another trainset (6 rows then, other 6 rows now)*"])


def test_data_that_is_not_there_is_not_compared(compiled, alone):
    (compiled.path / "train.jsonl").unlink()
    result = alone("--dspex-live")
    assert outcomes(result) == {"passed": 8}
    result.stdout.no_fnmatch_line("*compiled from another*")


def test_another_lm_is_said_in_the_summary(compiled, run):
    compiled.edit('MODEL = "scripted"', 'MODEL = "other"')
    result = run("--dspex-live")
    assert outcomes(result) == {"passed": 8}
    result.stdout.fnmatch_lines(["artifacts/qa.json: compiled from another lm (*'scripted'*) then, *'other'*"])


@pytest.mark.parametrize("words", ["Answer with the last word.", "Reworded."])
def test_an_artifact_that_does_not_say_what_it_was_compiled_from_is_used_and_says_so(compiled, alone, words):
    made = Predict("question -> answer")
    made.signature = made.signature.with_instructions(words).with_updated_fields("question", desc="what to say")
    made.save(compiled.artifact)
    result = alone("--dspex-live")
    assert result.ret == 1
    assert len(compiled.calls) == 8
    end = ", and its instructions or descriptions differ*" if words == "Reworded." else ""
    result.stdout.fnmatch_lines(
        [f"artifacts/qa.json: compiled; it does not say what it was compiled from, so whether it is stale *{end}"]
    )


def test_an_ignored_artifact_is_not_loaded(compiled, alone):
    result = alone("--dspex-live", "--dspex-artifacts=ignore")
    assert outcomes(result) == {"failed": 8}
    result.stdout.fnmatch_lines(["artifacts/qa.json: ignored (--dspex-artifacts=ignore)"])


def test_a_program_that_can_be_built_in_a_test_only_is_checked_there(compiled, alone):
    compiled.edit(*EDITS["docstring"])
    compiled.edit("return Predict(Echo)", "assert READY\n    return Predict(Echo)")
    compiled.edit("    return ScriptedLM", "    READY.append(1)\n    return ScriptedLM")
    compiled.edit('MODEL = "scripted"', 'MODEL = "scripted"\nREADY = []')
    result = alone("--dspex-live")
    assert outcomes(result) == {"errors": 8}
    assert compiled.calls == []
    result.stdout.fnmatch_lines(["*StaleArtifactError: *qa.json: was compiled from another source*"])


def test_a_program_is_built_once(compiled, alone):
    compiled.edit("return Predict(Echo)", 'CALLS.with_name("built.txt").open("a").write("x")\n    return Predict(Echo)')
    assert alone("--dspex-live", "-W", "ignore").ret == 0
    assert (compiled.path / "built.txt").read_text() == "x"
