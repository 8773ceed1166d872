"""What saved programs name: public classes when they are written, and no code when they are read."""

import json
import sys
import types
import typing
from pathlib import Path

import pydantic
import pytest
import saved_programs

import dspex_core
from dspex_core import ArtifactError, Image, InputField, Module, OutputField, Predict, Signature, load


def right(example, prediction):
    return 1.0


def search(query: str) -> str:
    """Look it up."""
    return query


PROGRAMS = {
    "AnswerRelevance": dspex_core.AnswerRelevance,
    "BestOfN": lambda: dspex_core.BestOfN(Predict("q -> a"), N=2, reward_fn=right, threshold=1.0),
    "ChainOfThought": lambda: dspex_core.ChainOfThought("q -> a"),
    "CodeAct": lambda: dspex_core.CodeAct("q -> a", tools=[search]),
    "CompleteAndGrounded": dspex_core.CompleteAndGrounded,
    "ConversationJudge": lambda: dspex_core.ConversationJudge("patient"),
    "Faithfulness": lambda: dspex_core.Faithfulness("context"),
    "GEval": lambda: dspex_core.GEval("clear"),
    "Judge": lambda: dspex_core.Judge("polite"),
    "MultiChainComparison": lambda: dspex_core.MultiChainComparison("q -> a"),
    "PairwiseJudge": lambda: dspex_core.PairwiseJudge("clear"),
    "Parallel": dspex_core.Parallel,
    "Predict": lambda: Predict("q -> a"),
    "ProgramOfThought": lambda: dspex_core.ProgramOfThought("q -> a"),
    "RLM": lambda: dspex_core.RLM("q -> a"),
    "ReAct": lambda: dspex_core.ReAct("q -> a", tools=[search]),
    "ReActV2": lambda: dspex_core.ReActV2("q -> a", tools=[search]),
    "Refine": lambda: dspex_core.Refine(Predict("q -> a"), N=2, reward_fn=right, threshold=1.0),
    "SemanticF1": dspex_core.SemanticF1,
}
FIELD_TYPES = ["Audio", "Citation", "Citations", "Code", "Document", "File", "History", "Image", "Reasoning", "Tool"]


def names_in(file):
    """All texts in a saved program that name something of this library."""

    def texts(node):
        if isinstance(node, dict):
            return [found for pair in node.items() for part in pair for found in texts(part)]
        return [found for part in node for found in texts(part)] if isinstance(node, list) else [node]

    return [text for text in texts(json.loads(file.read_text())) if isinstance(text, str) and "dspex_core" in text]


def test_every_public_program_is_in_the_table():
    public = {
        name for name in dspex_core.__all__ if isinstance(value := vars_of(name), type) and issubclass(value, Module)
    }
    assert public - {"Module", "BaseModule", "Retrieve"} == PROGRAMS.keys()


def vars_of(name):
    return getattr(dspex_core, name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_named_as_users_import_it(name, tmp_path):
    program = PROGRAMS[name]()
    program.save(tmp_path, save_program=True)

    assert set(names_in(tmp_path / "program.json")) <= {f"dspex_core:{known}" for known in PROGRAMS}
    assert type(load(tmp_path, allow_import=True)) is type(program)


@pytest.mark.parametrize("name", FIELD_TYPES)
def test_a_type_is_named_as_users_import_it_and_needs_no_trust(name, tmp_path):
    signature = Signature({"x": (list[vars_of(name)] | None, InputField()), "y": OutputField()})
    Predict(signature).save(tmp_path, save_program=True)

    assert all(
        (text.count(".") <= 2 and ":" not in text) or text.startswith("dspex_core:")
        for text in names_in(tmp_path / "program.json")
    )
    assert not [text for text in names_in(tmp_path / "program.json") if "dspex_core.types" in text or ".tools" in text]
    assert load(tmp_path).signature.equals(signature)


@pytest.mark.parametrize(
    ("old", "new"),
    [("dspex_core.programs.predict:Predict", Predict), ("dspex_core.no.longer.there:Predict", Predict)],
)
def test_files_that_name_inner_modules_still_load(old, new, tmp_path):
    Predict("q -> a").save(tmp_path, save_program=True)
    file = tmp_path / "program.json"
    file.write_text(file.read_text().replace("dspex_core:Predict", old))

    assert type(load(tmp_path)) is new


def test_standard_types_and_ones_own_data_classes_of_imported_modules_need_no_trust(tmp_path):
    import datetime as dt
    import pathlib
    import uuid
    from decimal import Decimal

    type_ = dict[uuid.UUID, tuple[Decimal, dt.datetime] | list[pathlib.Path] | saved_programs.Review]
    signature = Signature({"x": (type_, InputField()), "y": OutputField()})
    Predict(signature).save(tmp_path, save_program=True)

    assert load(tmp_path).signature.equals(signature)


class Plugin(pydantic.BaseModel):
    target: list[pydantic.ImportString] = []


class Indirect(pydantic.BaseModel):
    plugin: Plugin | None = None


class Late(pydantic.BaseModel):
    anything: typing.Annotated[object, pydantic.ImportString] = None


class Row(typing.TypedDict):
    target: pydantic.ImportString


class Anything:
    """Neither data nor known."""


HOLDER = types.ModuleType("holder_of_types")
HOLDER.pydantic = pydantic
HOLDER.Alias = pydantic.ImportString
HOLDER.Review = saved_programs.Review


@pytest.mark.parametrize(
    "path",
    [
        "pydantic:ImportString",
        "pydantic.types:ImportString",
        "holder_of_types:pydantic.ImportString",
        "holder_of_types:Alias",
        "holder_of_types:Review",
        "subprocess:Popen",
        *(f"{__name__}:{cls.__name__}" for cls in (Plugin, Indirect, Late, Row, Anything)),
        "os:path",
        "",
        "no.such:Thing",
    ],
)
@pytest.mark.parametrize("written", ["{}", "list[{}]", "dict[str, {} | None]", "Union[int, tuple[{}, ...]]"])
def test_a_type_that_may_run_code_is_refused_without_trust(path, written, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "holder_of_types", HOLDER)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "never_imported.py").write_text("x = 1")
    signature = Signature({"q": (Image, InputField()), "a": OutputField()})
    Predict(signature).save(tmp_path, save_program=True)
    file = tmp_path / "program.json"
    artifact = json.loads(file.read_text())
    stored = artifact["state"]["signatures"]["signature"]
    stored["fields"]["q"]["type"] = written.format("evil.Type")
    stored["types"] = {"evil.Type": path}
    artifact["state"]["state"]["demos"] = [{"q": "never_imported:x", "a": "b"}]
    file.write_text(json.dumps(artifact))

    with pytest.raises(ArtifactError):
        load(tmp_path)
    assert "never_imported" not in sys.modules


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_base": "http://127.0.0.1:9"},
        {"base_url": "http://127.0.0.1:9"},
        {"fallbacks": ["openai/x"]},
        {"model": "openai/x"},
        {"extra_body": {"api_key": "x"}},
        {"extra_body": {"url": "http://127.0.0.1:9"}},
        {"proxies": {}},
        {"lm": "openai/x"},
        {"callbacks": ["x"], "timeout": 1},
    ],
)
def test_arguments_in_a_file_cannot_say_whom_to_ask(arguments, tmp_path):
    Predict("q -> a").save(tmp_path, save_program=True)
    file = tmp_path / "program.json"
    artifact = json.loads(file.read_text())
    artifact["state"]["arguments"] |= arguments
    file.write_text(json.dumps(artifact))

    with pytest.raises(ArtifactError):
        load(tmp_path)


def test_the_error_of_a_constructor_is_one_of_loading(tmp_path):
    dspex_core.BestOfN(Predict("q -> a"), N=2, reward_fn=right, threshold=1.0).save(tmp_path, save_program=True)
    file = Path(tmp_path) / "program.json"
    file.write_text(file.read_text().replace('"N": 2', '"N": "many"'))

    with pytest.raises(ArtifactError, match="BestOfN"):
        load(tmp_path, allow_import=True)
