"""DSPy's public names are there, and take DSPy's arguments."""

import importlib
import inspect

import pytest

NAMES = [
    "Signature",
    "InputField",
    "OutputField",
    "Example",
    "Prediction",
    "Module",
    "Predict",
    "ChainOfThought",
    "ReAct",
    "ProgramOfThought",
    "CodeAct",
    "RLM",
    "BestOfN",
    "Refine",
    "MultiChainComparison",
    "Parallel",
    "majority",
    "KNN",
    "LM",
    "BaseLM",
    "Embedder",
    "configure",
    "context",
    "settings",
    "Adapter",
    "ChatAdapter",
    "JSONAdapter",
    "XMLAdapter",
    "TwoStepAdapter",
    "Image",
    "Audio",
    "File",
    "History",
    "Tool",
    "ToolCalls",
    "Code",
    "Reasoning",
    "Type",
    "Evaluate",
    "LabeledFewShot",
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapRS",
    "KNNFewShot",
    "streamify",
    "asyncify",
    "syncify",
    "track_usage",
    "inspect_history",
    "load",
    "DummyLM",
    "BaseCallback",
]
HOMES = ["", ".utils", ".utils.callback"]  # where DSPy has them
MEMBERS = {
    "retrievers": ["Embeddings", "EmbeddingsWithScores"],
    "streaming": ["StreamListener", "StreamResponse", "StatusMessage", "StatusMessageProvider", "streaming_response"],
    "evaluate": ["Evaluate", "EvaluationResult", "SemanticF1"],
    "teleprompt": ["BootstrapFewShot", "BootstrapFewShotWithRandomSearch", "LabeledFewShot", "KNNFewShot"],
}
LEFT_OUT = {  # docs/migrating-from-dspy.md says why
    "LM": {"provider", "finetuning_model", "launch_kwargs", "train_kwargs", "use_developer_role"},
}
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def parameters(value):
    """The named parameters of a function or a constructor."""
    found = inspect.signature(value.__init__ if inspect.isclass(value) else value).parameters
    return {name: each for name, each in found.items() if name != "self" and each.kind not in VARIABLE}


def by_position(given):
    return [name for name, each in given.items() if each.kind is not inspect.Parameter.KEYWORD_ONLY]


def check(mine, theirs, left_out=frozenset()):
    mine, theirs = parameters(mine), parameters(theirs)
    assert theirs.keys() - mine.keys() == left_out
    positions = zip(by_position(mine), by_position(theirs), strict=False)
    assert all(here == there or there in left_out for here, there in positions), "another order"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_and_what_it_takes(ours, real, name):
    mine = getattr(ours, name)
    homes = [importlib.import_module(f"dspy{home}") for home in HOMES]
    [theirs, *_] = [vars(home)[name] for home in homes if name in vars(home)]

    if callable(theirs):
        check(mine, theirs, LEFT_OUT.get(name, set()))


@pytest.mark.parametrize("home", MEMBERS)
def test_the_names_of_a_submodule(ours, real, home):
    for name in MEMBERS[home]:
        assert hasattr(getattr(real, home), name)
        assert hasattr(getattr(ours, home), name)


@pytest.mark.parametrize(
    ("home", "name"),
    [
        ("retrievers", "Embeddings"),
        ("streaming", "StreamListener"),
        ("evaluate", "Evaluate"),
        ("evaluate", "SemanticF1"),
    ],
)
def test_what_a_name_of_a_submodule_takes(ours, real, home, name):
    check(getattr(getattr(ours, home), name), getattr(getattr(real, home), name))


@pytest.mark.parametrize(
    ("name", "method", "left_out"),
    [
        ("Module", "save", ()),
        ("Module", "load", ()),
        ("Module", "set_lm", ()),
        ("Module", "inspect_history", ()),
        ("Signature", "append", ()),
        ("Signature", "prepend", ()),
        ("Signature", "insert", ()),
        ("Signature", "delete", ()),
        ("Signature", "with_instructions", ()),
        ("Signature", "with_updated_fields", ()),
        ("Example", "with_inputs", ()),
        ("Example", "toDict", ()),
        ("Tool", "from_mcp_tool", ()),
        ("Tool", "from_langchain", ()),
        ("LabeledFewShot", "compile", ()),
        ("BootstrapFewShot", "compile", ()),
        ("BootstrapFewShotWithRandomSearch", "compile", ()),
        ("KNNFewShot", "compile", ()),
        ("COPRO", "compile", ()),
        ("InferRules", "compile", ()),
        ("SIMBA", "compile", ()),
    ],
)
def test_a_method_and_what_it_takes(ours, real, name, method, left_out):
    mine, theirs = (parameters(getattr(getattr(dspy, name), method)) for dspy in (ours, real))
    if method == "compile":  # options of one optimizer are those of what `compile` frames
        mine = {**parameters(ours.teleprompt.Teleprompter.compile), **parameters(getattr(ours, name)._compile), **mine}

    assert theirs.keys() - mine.keys() == set(left_out)
