"""Print prompts, observations and rows with sets in them: a program that `test_sets.py` runs in several processes."""

import dataclasses
import enum
import json
import sys

import pydantic

from dspex_core import ChatAdapter, Example, JSONAdapter, Predict, ScriptedLM, XMLAdapter, context
from dspex_core.types.observation import as_observation


class Kind(enum.Enum):
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


@dataclasses.dataclass(frozen=True)
class Point:
    tags: frozenset[str]


class Model(pydantic.BaseModel):
    tags: set[str]
    points: list[Point] = []


WORDS = ["delta", "alpha", "echo", "bravo", "charlie", "foxtrot"]
POINTS = [Point(frozenset(WORDS))]
VALUES = [
    set(WORDS),
    frozenset(WORDS),
    [set(WORDS)],
    {"tags": set(WORDS)},
    set(Kind),
    {frozenset(WORDS), frozenset(WORDS[:3])},
    {("b", 1), ("a", 2), ("c", 3)},
    POINTS[0],
    Model(tags=set(WORDS), points=POINTS),
    {"deep": [POINTS, {1: Model(tags=set(WORDS))}]},
    {*WORDS, 1, 2.5, None},
]


def shown(value):
    """Return the prompts of each adapter for a value."""
    lm = ScriptedLM(lambda _: {"a": "x"})
    for adapter in (ChatAdapter(), JSONAdapter(), XMLAdapter()):
        with context(lm=lm, adapter=adapter):
            Predict("q: object -> a")(q=value)
    return [entry["messages"] for entry in lm.history]


row = Example(tags=set(WORDS), model=Model(tags=set(WORDS))).toDict()
sys.stdout.write(json.dumps([row, [[shown(value), as_observation(value)] for value in VALUES]], indent=1))
