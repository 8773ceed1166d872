"""Datasets of a million rows: memory of a stream, rows a second beside the standard library, near-duplicates.

Each reading runs in a process of its own, whose CPU time and largest memory are printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST_MEGABYTES = 300
WORDS = ("the", "order", "of", "a", "customer", "is", "late", "by", "some", "days", "and", "we", "ask", "where", "it")


def write_rows(folder: Path, count: int) -> None:
    """Write the same rows as JSON lines and as a table."""
    seeded = random.Random(0)
    with (folder / "rows.jsonl").open("w") as lines, (folder / "rows.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["id", "question", "answer", "score"])
        for number in range(count):
            row = [number, " ".join(seeded.choices(WORDS, k=12)), seeded.choice(WORDS), seeded.random()]
            writer.writerow(row)
            lines.write(json.dumps(dict(zip(["id", "question", "answer", "score"], row, strict=True))) + "\n")


def read(task: str, path: str) -> int:
    """Read all rows in one of the ways that are compared; return how many there are."""
    if task == "json.loads":
        with Path(path).open(encoding="utf-8") as lines:
            return sum(len(json.loads(line)) > 0 for line in lines)
    if task == "csv.DictReader":
        with Path(path).open(encoding="utf-8", newline="") as lines:
            return sum(len(row) > 0 for row in csv.DictReader(lines))
    from dspex_core import Predict, ScriptedLM, load_dataset, stream_dataset

    if task == "load_dataset":
        return len(load_dataset(path, inputs=["question"]))
    if task == "stream_dataset and Predict":
        program, lm = Predict("question -> answer"), ScriptedLM(lambda _: {"answer": "now"})
        return sum(program(**row.inputs(), lm=lm).answer == "now" for row in stream_dataset(path, inputs=["question"]))
    return sum(row.answer != "" for row in stream_dataset(path, inputs=["question"]))


def near(count: int) -> None:
    """Look for near-duplicates in texts that have nothing in common, a beginning, and nearly everything."""
    from dspex_core import Example
    from dspex_core.datasets import near_duplicates

    seeded = random.Random(0)
    words = ["".join(seeded.choices("etaoinshrdlu", k=seeded.randint(2, 9))) for _ in range(5000)]
    kinds = {
        "other texts": lambda _: " ".join(seeded.choices(words, k=25)),
        "one template": lambda _: f"Classify this message of a customer: {' '.join(seeded.choices(words, k=6))}",
        "all alike": lambda _: f"Customer {seeded.random()} wrote to us about a parcel that is late, see below",
    }
    for name, text in kinds.items():
        a, b = ([Example(q=text(n)).with_inputs("q") for n in range(count)] for _ in range(2))
        start = time.process_time()
        found = near_duplicates(a, b)
        print(
            f"near_duplicates, {name}, {count:,} x {count:,}: {time.process_time() - start:.1f} s, {len(found)} found"
        )


def measured(task: str, path: Path) -> tuple[float, float]:
    """Return the CPU seconds and the megabytes of a reading in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--task", task, "--path", str(path)], check=True, capture_output=True, text=True
    )
    seconds, megabytes, _ = done.stdout.split()
    return float(seconds), float(megabytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task")
    parser.add_argument("--path")
    options = parser.parse_args()
    if options.task:
        start = time.process_time()
        count = read(options.task, options.path)
        spent = time.process_time() - start
        print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_rows(folder, options.rows)
        for name, peer in (("rows.jsonl", "json.loads"), ("rows.csv", "csv.DictReader")):
            rounds = [
                [measured(task, folder / name) for task in (peer, "stream_dataset")] for _ in range(options.rounds)
            ]
            theirs, ours = (min(each[place] for each in rounds) for place in (0, 1))
            print(
                f"{name}: stream_dataset {options.rows / ours[0]:,.0f} rows/s in {ours[1]:.0f} MB, {peer} "
                f"{options.rows / theirs[0]:,.0f} rows/s in {theirs[1]:.0f} MB: {ours[0] / theirs[0]:.2f} times"
            )
            print(f"  bar: under {MOST_MEGABYTES} MB: {'met' if ours[1] < MOST_MEGABYTES else 'MISSED'}")
        seconds, megabytes = measured("load_dataset", folder / "rows.jsonl")
        print(f"rows.jsonl: load_dataset {options.rows / seconds:,.0f} rows/s in {megabytes:.0f} MB")
        seconds, megabytes = measured("stream_dataset and Predict", folder / "rows.jsonl")
        print(f"rows.jsonl: through a scripted program {options.rows / seconds:,.0f} rows/s in {megabytes:.0f} MB")
        print(f"  bar: under {MOST_MEGABYTES} MB: {'met' if megabytes < MOST_MEGABYTES else 'MISSED'}")
    near(min(options.rows, 10_000))


if __name__ == "__main__":
    main()
