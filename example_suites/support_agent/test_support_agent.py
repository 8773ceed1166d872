import pytest

from dspex_core import contains


def calls_of(prediction):
    """Return the names and the arguments of the tools that the agent called, in turns."""
    trajectory = prediction.trajectory
    turns = sum(name.startswith("tool_name_") for name in trajectory)
    return [[trajectory[f"tool_name_{turn}"], trajectory[f"tool_args_{turn}"]] for turn in range(turns)]


@pytest.mark.dspex_data("data/test.jsonl", inputs=["question"])
@pytest.mark.dspex_gate("tools", min=0.85)
@pytest.mark.dspex_gate("calls", min=0.65)
@pytest.mark.dspex_gate("answer", min=0.55)
def test_support(example, prediction, score):
    calls = calls_of(prediction)
    score("tools", [name for name, _ in calls] == [name for name, _ in example.calls])
    score("calls", calls == example.calls, feedback=f"it called {calls}, not {example.calls}")
    score("answer", contains("answer")(example, prediction))
    assert prediction.get_tool_errors() == (), "the arguments of each call fit"
