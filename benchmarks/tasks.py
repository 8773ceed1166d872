"""Tasks with known answers, read from a folder of public data: the same rows for every client.

Only the standard library is needed, since the clients run in other environments, too.
"""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

INTENTS = 10


@dataclass(frozen=True)
class Row:
    """An input with the right answer; `id` is its place in the data."""

    id: int
    text: str
    expected: str


@dataclass(frozen=True)
class Task:
    """A question with some possible answers.

    Args:
        instructions: What the model is told to do.
        signature: The signature in its string form, the possible answers in its one output's type.
        given: The input's name.
        wanted: The output's name.
        rows: Balanced over the possible answers, in random order.
    """

    instructions: str
    signature: str
    given: str
    wanted: str
    rows: list[Row]


def load_tasks(folder: Path, *, number: int, seed: int) -> dict[str, Task]:
    """Return all tasks by name, so many rows of each drawn with the seed."""
    navigate = "Follow the instructions and say whether they lead back to the starting point."
    sports = "Judge whether the sentence about sports is plausible."
    intents = "Classify the bank customer's question by its intent."
    return {
        "banking77, 10 intents": _task(intents, "text", "intent", _sample(_banking(folder, seed), number, seed)),
        "sports_understanding": _task(
            sports, "question", "answer", _sample(_bbh(folder, "sports_understanding"), number, seed)
        ),
        "navigate": _task(navigate, "question", "answer", _sample(_bbh(folder, "navigate"), number, seed)),
    }


def _task(instructions: str, given: str, wanted: str, rows: list[Row]) -> Task:
    answers = ", ".join(repr(answer) for answer in sorted({row.expected for row in rows}))
    return Task(instructions, f"{given} -> {wanted}: Literal[{answers}]", given, wanted, rows)


def _banking(folder: Path, seed: int) -> list[Row]:
    with (folder / "banking77" / "test.csv").open(encoding="utf-8", newline="") as lines:
        rows = [Row(place, line["text"], line["category"]) for place, line in enumerate(csv.DictReader(lines))]
    intents = sorted({row.expected for row in rows})
    chosen = set(random.Random(seed).sample(intents, INTENTS))
    return [row for row in rows if row.expected in chosen]


def _bbh(folder: Path, name: str) -> list[Row]:
    examples = json.loads((folder / "bbh" / f"{name}.json").read_text(encoding="utf-8"))["examples"]
    return [Row(place, example["input"], example["target"]) for place, example in enumerate(examples)]


def _sample(rows: list[Row], number: int, seed: int) -> list[Row]:
    by_answer: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_answer[row.expected].append(row)
    draw = random.Random(seed)
    drawn = [row for same in by_answer.values() for row in draw.sample(same, number // len(by_answer))]
    draw.shuffle(drawn)
    return drawn
