import json
import subprocess
import sys
from pathlib import Path

import pytest
import saved_programs as programs

from dspex_core import (
    ArtifactError,
    ChainOfThought,
    ConfigurationError,
    DummyLM,
    NearestDemos,
    Predict,
    Signature,
    context,
    load,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "saved"


def change(folder, **values):
    file = folder / "program.json"
    artifact = json.loads(file.read_text())
    artifact["state"].update(values)
    file.write_text(json.dumps(artifact))


class TestLoading:
    def test_a_predict_with_everything_that_it_has(self, folder):
        predict = Predict(programs.Read, temperature=0.5)
        predict.demos = [{"text": "fine", "review": programs.Review(mood=programs.Mood.GOOD), "size": 3, "stars": 4}]
        predict.demo_selector = NearestDemos(2)
        predict.save(folder, save_program=True)

        loaded = load(folder)

        assert type(loaded) is Predict
        assert loaded.signature.equals(predict.signature)
        assert loaded.signature.__name__ == "Read"
        assert loaded.demos == predict.demos
        assert loaded.demo_selector.k == 2
        assert loaded.config == {"temperature": 0.5}

    def test_a_chain_of_thought(self, folder):
        program = ChainOfThought("question, n: int -> answer: list[str] | None")
        program.predict.demos = [{"question": "q", "n": 1, "reasoning": "r", "answer": ["a"]}]
        program.save(folder, save_program=True)

        loaded = load(folder)

        assert type(loaded) is ChainOfThought
        assert loaded.predict.signature.equals(program.predict.signature)
        assert loaded.dump_state() == program.dump_state()
        with context(lm=DummyLM([{"reasoning": "r", "answer": ["b"]}])):
            assert loaded(question="q", n=2).answer == ["b"]

    def test_a_program_of_ones_own_with_its_arguments(self, folder):
        program = programs.Pipeline(rounds=3, signature=Signature("text -> kind: int", "Say which kind."))
        program.steps[2].predict.demos = [{"text": "t", "reasoning": "r", "kind": 1}]
        program.save(folder, save_program=True)

        loaded = load(folder)

        assert type(loaded) is programs.Pipeline
        assert loaded.rounds == 3
        assert loaded.dump_state() == program.dump_state()

    def test_from_one_file(self, tmp_path):
        Predict("question -> answer").save(tmp_path / "p.json", save_program=True, metadata={"score": 1.0})

        assert load(tmp_path / "p.json").signature.signature == "question -> answer"
        assert json.loads((tmp_path / "p.json").read_text())["metadata"] == {"score": 1.0}


class TestTrust:
    """A file is no reason to run a module's code."""

    def load_elsewhere(self, folder, arguments):
        code = f"""
            import sys
            from dspex_core import ArtifactError, load
            sys.path.insert(0, {str(Path(programs.__file__).parent)!r})
            try:
                print(type(load({str(folder)!r}{arguments})).__name__)
            except ArtifactError as error:
                print(error)
            print("saved_programs" in sys.modules)
        """
        lines = "\n".join(line.strip().replace("print(t", "    print(t", 1) for line in code.splitlines())
        lines = lines.replace("print(error)", "    print(error)")
        done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
        return done.stdout

    @pytest.mark.parametrize("program", [programs.Pipeline(), Predict(programs.Read)])
    def test_modules_that_nobody_has_imported_are_not(self, folder, program):
        program.save(folder, save_program=True)

        said = self.load_elsewhere(folder, "")

        assert "whose module is not imported: import saved_programs first, or load with allow_import=True" in said
        assert said.endswith("False\n")

    def test_unless_the_caller_allows_it(self, folder):
        programs.Pipeline().save(folder, save_program=True)

        assert self.load_elsewhere(folder, ", allow_import=True") == "Pipeline\nTrue\n"

    def test_a_program_without_types_of_ones_own_needs_no_import(self, folder):
        Predict("question -> answer: list[int]").save(folder, save_program=True)

        assert self.load_elsewhere(folder, "") == "Predict\nFalse\n"

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("subprocess:Popen", "'subprocess:Popen', which is not a program"),
            ("os:system", "'os:system', which does not exist"),
            ("saved_programs:Missing", "which does not exist"),
            ("no.such.module:X", "whose module is not imported"),
            ("", "whose module is not imported"),
        ],
    )
    def test_only_programs_are_made(self, folder, path, reason):
        Predict("question -> answer").save(folder, save_program=True)
        change(folder, **{"class": path})

        with pytest.raises(ArtifactError, match=reason):
            load(folder)

    def test_a_module_that_is_not_there_is_named(self, folder):
        Predict("question -> answer").save(folder, save_program=True)
        change(folder, **{"class": "no.such.module:X"})

        with pytest.raises(ArtifactError, match="cannot be imported: No module named 'no'"):
            load(folder, allow_import=True)

    def test_a_pickle_is_never_loaded(self, folder):
        folder.mkdir()
        (folder / "program.pkl").write_bytes(b"cbuiltins\nexit\n(tR.")

        with pytest.raises(ArtifactError, match="holds a pickle, which is never loaded"):
            load(folder)


class TestRefusals:
    """What could not be loaded is not saved."""

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (programs.made_inside(), "does not name that class: define it at the top level"),
            (programs.Demanding("m"), r"Demanding cannot be called with \(\): missing a required argument: 'model'"),
            (programs.Forgetful(k=5), "self.k is 5 and would not be after loading"),
            (programs.grown(), r"as a whole\n  - part would not be there after loading$"),
            (Predict("question -> answer", temperature=float("nan")), "only JSON values can be stored"),
            (Predict(programs.Unnamed), "the type of 'score' cannot be stored: .*more than the type"),
        ],
    )
    def test_say_why_and_write_nothing(self, folder, program, reason):
        with pytest.raises(ArtifactError, match=reason):
            program.save(folder, save_program=True)
        assert not folder.exists()

    def test_a_program_of_a_script_cannot_be_named(self, folder, monkeypatch):
        monkeypatch.setattr(programs.Forgetful, "__module__", "__main__")

        with pytest.raises(ArtifactError, match="defined in a script or notebook"):
            programs.Forgetful().save(folder, save_program=True)

    def test_dspy_has_no_place_for_a_program(self, folder):
        with pytest.raises(ConfigurationError, match="its state alone"):
            Predict("question -> answer").save(folder, save_program=True, format="dspy")

    def test_a_state_is_no_whole_program(self, tmp_path):
        Predict("question -> answer").save(tmp_path / "p.json")

        with pytest.raises(ArtifactError, match="of kind 'program', not 'whole program'"):
            load(tmp_path / "p.json")

    @pytest.mark.parametrize(
        "damage",
        [
            {"class": None},
            {"arguments": []},
            {"arguments": {"demos": 1, "api_base": "http://127.0.0.1:9"}},
            {"state": None},
            {"state": {"signature": {}}},
            {"signatures": {"signature": None}},
            {"signatures": {}},
            {"signatures": {"signature": {"name": "S", "instructions": "", "fields": {"a": {}}, "types": {}}}},
        ],
    )
    def test_damage_is_an_error(self, folder, damage):
        Predict("question -> answer").save(folder, save_program=True)
        change(folder, **damage)

        with pytest.raises(ArtifactError) as caught:
            load(folder)
        assert caught.value.path == str(folder / "program.json")
