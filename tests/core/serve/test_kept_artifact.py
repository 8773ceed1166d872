"""Workers make their program of the artifact as it was when the service was made, whatever its files hold now."""

import json

import http_programs
import pytest
import served_programs

from dspex_core import Example, LabeledFewShot
from dspex_core.errors import ArtifactError, MissingArtifactError, StaleArtifactWarning
from dspex_core.serve.workers import kept
from dspex_core.serve.workers.kept import with_content
from dspex_core.serve.workers.making import runner_of
from dspex_core.serve.workers.setup import WorkerSetup


def save(path, instructions):
    program = served_programs.quoting()
    program.signature = program.signature.with_instructions(instructions)
    program.save(path, save_program=not path.suffix)


def setup_of(path):
    return WorkerSetup(program=str(path), factory="served_programs:quoting" if path.suffix else None)


def received(setup):
    """The setup as a worker receives it."""
    return WorkerSetup.from_json(json.loads(json.dumps(with_content(setup).to_json())))


def instructions(setup):
    return runner_of(setup).program.signature.instructions


@pytest.fixture(params=["state.json", "whole"])
def path(request, tmp_path):
    """Where an artifact is: the file of a state, or the folder of a whole program."""
    save(tmp_path / request.param, "Be old.")
    return tmp_path / request.param


def test_what_happens_to_the_artifact_later_changes_nothing(path):
    setup = received(setup_of(path))
    save(path, "Be new.")
    assert instructions(setup) == "Be old."
    assert instructions(received(setup_of(path))) == "Be new."
    file = path if path.is_file() else path / "program.json"
    file.write_text("damaged")
    assert instructions(setup) == "Be old."
    file.unlink()
    assert instructions(setup) == "Be old."


def test_a_whole_folder_is_kept_for_a_program_that_loads_one(tmp_path):
    (tmp_path / "index" / "parts").mkdir(parents=True)
    (tmp_path / "index" / "words.txt").write_text("one")
    (tmp_path / "index" / "parts" / "0.bin").write_bytes(b"\xff")
    setup = received(WorkerSetup(program=str(tmp_path / "index"), factory="served_programs:indexed"))
    (tmp_path / "index" / "words.txt").write_text("two")
    (tmp_path / "index" / "parts" / "0.bin").unlink()
    assert runner_of(setup).program.words == "one, 1 byte"


def test_errors_name_the_artifact_and_not_the_copy(tmp_path):
    file = tmp_path / "state.json"
    file.write_text("damaged")
    with pytest.raises(ArtifactError) as caught:
        runner_of(received(setup_of(file)))
    assert str(caught.value).startswith(f"{file}: is not an artifact")


def test_an_artifact_that_cannot_be_kept_is_refused_at_once(path, monkeypatch):
    with pytest.raises(MissingArtifactError, match="cannot be read"):
        with_content(setup_of(path.with_name("none.json")))
    monkeypatch.setattr(kept, "LARGEST", 10)
    with pytest.raises(ArtifactError, match="too large"):
        with_content(setup_of(path))


def test_a_warning_about_the_artifact_names_it_and_not_the_copy(tmp_path, monkeypatch):
    file = tmp_path / "qa.json"
    row = Example(question="a", answer="b").with_inputs("question")
    LabeledFewShot(k=1).compile(http_programs.qa(), trainset=[row]).save(file)
    monkeypatch.setattr(http_programs, "QA", http_programs.QA.with_instructions("Answer at length."))
    with pytest.warns(StaleArtifactWarning) as caught:
        runner_of(received(WorkerSetup(program=str(file), factory="http_programs:qa")))
    assert str(caught[0].message).startswith(f"{file} ")
