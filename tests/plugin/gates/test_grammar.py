"""What markers and texts mean, and what is said about those that mean nothing."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import ConfigurationError
from pytest_dspex.gates.grammar import Gate, gate_from_text, gates_from_marker

WHERE = "test_it.py::test_it"


def marker(*args, **kwargs):
    return pytest.mark.dspex_gate(*args, **kwargs).mark


@pytest.mark.parametrize(
    ("mark", "gates"),
    [
        (marker("f1", max=2), (Gate("f1", max=2.0),)),
        (marker("f1", min=0.5, max_drop=0.02), (Gate("f1", min=0.5), Gate("f1", max_drop=0.02))),
        (marker("f1", min=0.5, confidence=0.9), (Gate("f1", min=0.5, confidence=0.9),)),
        (marker("f1", max_drop=0, vs="git:main"), (Gate("f1", max_drop=0.0, vs="git:main"),)),
        (marker("f1", min=0, by="lang"), (Gate("f1", min=0.0, by=("lang",)),)),
        (marker("f1", min=0, by=["a", "b"], pool="n"), (Gate("f1", min=0.0, by=("a", "b"), pool=("n",)),)),
        (marker("f1", min=0, where={"lang": "de"}), (Gate("f1", min=0.0, where=(("lang", "de"),)),)),
        (marker("latency", max=2, stat="p95"), (Gate("latency", max=2.0, stat="p95"),)),
    ],
)
def test_a_marker_is_a_gate_for_each_bound_and_survives_the_way_from_a_worker(mark, gates):
    assert gates_from_marker(mark, WHERE) == gates
    assert tuple(Gate.from_json(gate.to_json()) for gate in gates) == gates


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max": math.inf}, "max=inf"),
        ({"max_drop": -0.1}, "max_drop=-0.1, which is negative"),
        ({"min": 0.5, "confidence": 95}, "confidence=95"),
        ({"min": 0.5, "confidence": True}, "confidence=True"),
        ({"max_drop": 0.1, "confidence": 0.9}, "a drop has a paired test"),
        ({"min": 0.5, "stat": "p33"}, "stat='p33'"),
        ({"min": 0.5, "stat": "p95", "confidence": 0.9}, "leave one out"),
        ({"max_drop": 0.5, "stat": "p95"}, "leave one out"),
        ({"max_drop": 0.5, "vs": "main"}, "vs='main'"),
        ({"max_drop": 0.5, "vs": "git:"}, "vs='git:'"),
        ({"min": 0.5, "vs": "git:main"}, "neither max_drop= nor max_rise="),
        ({"min": 0.5, "by": 3}, "by=3"),
        ({"min": 0.5, "pool": [1]}, "pool=[1]"),
        ({"min": 0.5, "where": "lang=de"}, "where='lang=de'"),
        ({"min": 0.5, "where": {"lang": []}}, "where={'lang': []}"),
    ],
)
def test_a_wrong_argument_is_named(options, named):
    with pytest.raises(ConfigurationError) as caught:
        gates_from_marker(marker("accuracy", **options), WHERE)
    assert str(caught.value).startswith(f"{WHERE}: dspex_gate('accuracy')")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("accuracy >= 0.85", Gate("accuracy", min=0.85)),
        ("accuracy>=.85", Gate("accuracy", min=0.85)),
        ("cost <= 1e-3", Gate("cost", max=0.001)),
        ("latency:p95 <= 2", Gate("latency", max=2.0, stat="p95")),
        ("accuracy >= 0.85 at 95%", Gate("accuracy", min=0.85, confidence=0.95)),
        ("accuracy >= 0.85 at 0.95", Gate("accuracy", min=0.85, confidence=0.95)),
        ("accuracy drop <= 0.02", Gate("accuracy", max_drop=0.02)),
        ("tokens rise <= 5 vs git:origin/main", Gate("tokens", max_rise=5.0, vs="git:origin/main")),
        ("f1 >= 0 by lang,tier", Gate("f1", min=0.0, by=("lang", "tier"))),
        (
            "f1 >= 0 by lang where tier=gold in test_x",
            Gate("f1", min=0.0, by=("lang",), where=(("tier", "gold"),), test="test_x"),
        ),
    ],
)
def test_a_text_is_a_gate(text, gate):
    made = gate_from_text(text, "--dspex-gate")
    assert made.source == "--dspex-gate"
    assert Gate.from_json({**made.to_json(), "source": ""}) == gate


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy > 0.8", ">= 0.8", "accuracy >= high", "accuracy >= 0.8 or so", "a:p33 <= 1"]
)
def test_another_text_is_refused_with_its_source(text):
    with pytest.raises(ConfigurationError, match="--dspex-gate has"):
        gate_from_text(text, "--dspex-gate")


@given(text=st.text() | st.from_regex(r"[a-z]+(:\w+)? ?(>=|<=|drop <=) ?[\d.e]+( at \d+%?)?( vs \S+)?"))
def test_any_text_is_a_gate_or_one_clear_error(text):
    try:
        gate = gate_from_text(text, "dspex_gates")
    except ConfigurationError as error:
        assert str(error).startswith("dspex_gates has")  # noqa: PT017  either way the text is answered
    else:
        assert math.isfinite(gate.bound)


def test_the_gates_of_the_docs_are_gates():
    text = (Path(__file__).parents[3] / "docs" / "gates.md").read_text()
    ini = re.search(r"dspex_gates =\n((?:    .+\n)+)", text)
    lines = ini[1].split("\n")[:-1]
    assert len([gate_from_text(line.strip(), "docs") for line in lines]) == 6
    marks = re.findall(r"^@(pytest\.mark\.dspex_gate\(.*?\))", text, re.MULTILINE)
    assert len([gates_from_marker(eval(mark).mark, "docs") for mark in marks]) == 3
