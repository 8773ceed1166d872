"""Programs are saved and loaded with DSPy's arguments; what would need a pickle is refused with the reason."""

import json
import logging

import pytest


@pytest.fixture(params=["real", "ours"])
def dspy(request):
    return request.getfixturevalue(request.param)


def test_a_json_file_is_loaded_whatever_is_allowed(dspy, tmp_path):
    path = str(tmp_path / "state.json")
    program = dspy.ChainOfThought("question -> answer")
    program.predict.demos = [dspy.Example(question="q", answer="a")]
    program.save(path, save_program=False)

    loaded = dspy.ChainOfThought("question -> answer")
    loaded.load(path, allow_pickle=True)

    assert [demo["answer"] for demo in loaded.predict.demos] == ["a"]


def test_a_whole_program(ours, tmp_path):
    ours.ChainOfThought("question -> answer").save(tmp_path / "program", save_program=True, modules_to_serialize=None)

    assert isinstance(ours.load(tmp_path / "program", allow_pickle=True), ours.ChainOfThought)


@pytest.mark.parametrize("name", ["state.pkl", "state.pickle"])
def test_a_pickle_is_neither_written_nor_loaded(ours, tmp_path, name):
    program = ours.Predict("question -> answer")
    (tmp_path / name).write_bytes(b"cos\nsystem\n")

    with pytest.raises(ours.ArtifactError, match="loading one runs its code"):
        program.load(tmp_path / name, allow_pickle=True)
    with pytest.raises(ours.ArtifactError, match="loading one runs its code"):
        program.save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"cos\nsystem\n"


def test_modules_are_not_stored_with_a_program(ours, tmp_path):
    with pytest.raises(ours.ConfigurationError, match="modules_to_serialize"):
        ours.Predict("a -> b").save(tmp_path / "p", save_program=True, modules_to_serialize=[json])


def test_a_state_that_names_an_lm(ours, real, tmp_path, caplog):
    program = real.ChainOfThought("question -> answer")
    program.set_lm(real.LM("openai/gpt-4o-mini", temperature=0.5))
    program.save(str(tmp_path / "state.json"))
    mine = ours.ChainOfThought("question -> answer")

    with caplog.at_level(logging.WARNING, "dspex"):
        mine.load(tmp_path / "state.json")
        mine.load_state(json.loads((tmp_path / "state.json").read_text()))

    assert mine.predict.lm is None
    assert caplog.text.count("'openai/gpt-4o-mini' (predict), which is not used") == 2
