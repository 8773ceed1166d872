"""A predictor's own adapter and the order of its choices: in prompts, states, files and provenance."""

import enum
import logging
from typing import Literal

import pytest

from dspex_core import (
    ArtifactError,
    ChatAdapter,
    ConfigurationError,
    InputField,
    JSONAdapter,
    Module,
    OutputField,
    Predict,
    ScriptedLM,
    Signature,
    SignatureError,
    TwoStepAdapter,
    XMLAdapter,
    context,
    load,
)
from dspex_core.adapters.json import BAMLAdapter
from dspex_core.programs.saving.source import source_changes, source_of


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


TYPES = {
    "literal": Literal["good", "bad"],
    "enum": Mood,
    "optional": Mood | None,
    "list": list[Literal["good", "bad"]],
}
ADAPTERS = [
    ChatAdapter(use_json_adapter_fallback=False),
    JSONAdapter(),
    JSONAdapter(shows_types=False, text_limit=600),
    BAMLAdapter(),
    XMLAdapter(parallel_tool_calls=True),
]


def judge(type_=Literal["good", "bad"], **options):
    return Signature({"text": InputField(), "label": (type_, OutputField(**options))}, "Judge the text.")


def system_of(lm):
    return lm.history[-1].request.messages[0].text


@pytest.mark.parametrize("type_", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter(), BAMLAdapter(), XMLAdapter()], ids=repr)
def test_prompts_show_the_choices_in_the_order_that_was_asked_for(adapter, type_):
    usual, turned = judge(type_), judge(type_, choices=["bad"])

    def shown(signature):
        content = adapter.format(signature, [], {"text": "x"})
        text = f"{content[0]['content']}{content[-1]['content']}"
        return text.index('"good"') < text.index('"bad"')

    assert shown(usual)
    assert not shown(turned)
    assert turned.fields["label"].shown_choices() == ["bad", "good"]
    reply = adapter.written({"label": ["good"] if type_ is TYPES["list"] else "good"})
    assert adapter.parse(turned, reply) == adapter.parse(usual, reply)


def test_two_fields_of_one_enum_have_an_order_each():
    signature = judge(Mood, choices=[Mood.BAD]).append("other", OutputField(), Mood)
    found = JSONAdapter().response_schema(signature).schema
    assert found["properties"]["label"]["enum"] == ["bad", "good"]
    assert found["$defs"]["Mood"]["enum"] == ["good", "bad"]


HOLDS_ITSELF = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


@pytest.mark.parametrize(
    "choices", [["great"], ["good", "good"], "good", 3, [True], {"good"}, {"bad": 1}, HOLDS_ITSELF]
)
def test_choices_that_the_type_does_not_have_are_refused(choices):
    with pytest.raises(SignatureError, match="choices"):
        judge(choices=choices)


def test_only_a_type_with_choices_has_an_order_of_them():
    with pytest.raises(SignatureError, match=r"'label' has the choices .* but its type has none"):
        judge(str, choices=["good"])


def test_a_predictors_own_adapter_goes_before_that_of_the_settings():
    lm = ScriptedLM(lambda _: '{"label": "good"}')
    program = Predict(judge())
    program.adapter = JSONAdapter()
    with context(lm=lm, adapter=XMLAdapter()):
        assert program(text="x").label == "good"
        assert "JSON object" in system_of(lm)
        program.adapter = None
        program(text="y")
    assert "<label>" in system_of(lm)


def test_something_else_than_an_adapter_is_refused():
    with pytest.raises(ConfigurationError, match="not 'json'"):
        Predict(judge()).adapter = "json"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
def test_a_state_keeps_the_adapter_and_the_order(adapter, tmp_path):
    program = Predict(judge(choices=["bad"]))
    program.adapter = adapter
    program.save(tmp_path / "program.json")
    loaded = Predict(judge())
    loaded.load(tmp_path / "program.json")
    assert (loaded.adapter, loaded.signature.fields["label"].choices) == (adapter, ("bad",))
    assert loaded.dump_state() == program.dump_state()
    assert program.deepcopy().adapter == adapter


def test_a_saved_program_keeps_them_too(tmp_path):
    program = Predict(judge(choices=["bad"]))
    program.adapter = XMLAdapter()
    program.save(tmp_path / "program", save_program=True)
    loaded = load(tmp_path / "program")
    assert loaded.dump_state() == program.dump_state()


def test_a_state_without_them_leaves_them_as_the_program_has_them():
    program = Predict(judge(choices=["bad"]))
    program.adapter = XMLAdapter()
    program.load_state(Predict(judge()).dump_state())
    assert (program.adapter, program.signature.fields["label"].choices) == (XMLAdapter(), ("bad",))


def test_a_state_of_dspys_leaves_them_as_the_program_has_them():
    words = [{"prefix": "Text:", "description": "${text}"}, {"prefix": "Label:", "description": "${label}"}]
    program = Predict(judge(choices=["bad"]))
    program.adapter = XMLAdapter()
    program.load_state({"demos": [], "signature": {"instructions": "Other.", "fields": words}, "lm": None})
    assert program.signature.instructions == "Other."
    assert (program.adapter, program.signature.fields["label"].choices) == (XMLAdapter(), ("bad",))


@pytest.mark.parametrize(
    "adapter",
    [{}, 3, "json", {"kind": "TwoStepAdapter"}, {"kind": "XMLAdapter", "callbacks": []}]
    + [{"kind": "JSONAdapter", "text_limit": value} for value in (True, "600", 1.5)]
    + [{"kind": "JSONAdapter", "shows_types": value} for value in (None, 1)],
)
def test_a_state_with_another_adapter_is_refused(adapter):
    program = Predict(judge())
    with pytest.raises(ArtifactError, match=r"adapter|JSONAdapter"):
        program.load_state({**program.dump_state(), "adapter": adapter})
    assert program.adapter is None


@pytest.mark.parametrize("choices", [["great"], "good", 3, None, [["good"]]])
def test_a_state_with_other_choices_is_refused(choices):
    state = Predict(judge()).dump_state()
    state["signature"]["fields"]["label"]["choices"] = choices
    with pytest.raises(ArtifactError, match="choices"):
        Predict(judge()).load_state(state)


def test_an_adapter_that_no_file_can_name_stays_with_the_program(caplog):
    program = Predict(judge())
    program.adapter = TwoStepAdapter(ScriptedLM([]))
    with caplog.at_level(logging.WARNING, "dspex"):
        state = program.dump_state()
    assert "adapter" not in state
    assert "TwoStepAdapter" in caplog.text
    assert program.load_state(state).adapter is program.adapter


def test_dspys_files_have_no_place_for_them(tmp_path):
    program = Predict(judge(choices=["bad"]))
    program.adapter = XMLAdapter()
    with pytest.raises(ArtifactError, match=r"(?s)no adapter.*no order of choices: of label"):
        program.save(tmp_path / "program.json", format="dspy")


class Triage(Module):
    def __init__(self, adapter=None, **options):
        super().__init__()
        self.judge = Predict(judge(**options))
        self.judge.adapter = adapter


def test_a_change_of_them_in_the_source_shows():
    changes = source_changes(source_of(Triage()), source_of(Triage(XMLAdapter(), choices=["bad"])))
    assert any(line.startswith("+ judge: adapter: {'kind': 'XMLAdapter'}") for line in changes)
    assert any(line.startswith("+ judge: output label: ") and "['bad']" in line for line in changes)


def test_a_loaded_one_is_no_change_of_the_source():
    program = Triage()
    program.load_state(Triage(XMLAdapter(), choices=["bad"]).dump_state())
    assert source_changes(source_of(Triage()), source_of(program)) == []


@pytest.mark.parametrize("words", [{"desc": 3, "prefix": ""}, {"desc": "", "prefix": None}, [], "Label:"], ids=repr)
def test_a_state_with_other_words_than_texts_is_refused(words):
    program = Predict(judge())
    state = program.dump_state()
    state["signature"]["fields"]["label"] = words
    with pytest.raises(ArtifactError, match="the field 'label' has"):
        program.load_state(state)
