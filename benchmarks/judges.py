"""How often the interval of a judge's mean score holds the truth: corrected, and taken as it is.

Each run plants errors: 200 rows have true labels, and a scripted judge answers each with the truth as often as its
accuracy says. A person labels some of the rows; the judge alone scores the others. The planted answers go through
`Judge` and `calibrate` once, and through the statistics of `Judge.corrected` in each run.

Run: python benchmarks/judges.py [RUNS]
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

from dspex_core import Example, Judge, Prediction, ScriptedLM, calibrate, context

ROWS = 200
RUNS = 2000


@dataclass(frozen=True)
class Planted:
    """What is planted: the share of good rows, and how often the judge is right about good and about bad ones."""

    share: float
    right_of_good: float
    right_of_bad: float
    labelled: int

    def row(self, draw: random.Random) -> tuple[float, float]:
        """Return the judge's and the person's score of a row."""
        label = float(draw.random() < self.share)
        is_right = draw.random() < (self.right_of_good if label else self.right_of_bad)
        return (label if is_right else 1 - label), label


SETTINGS = (
    Planted(0.70, 0.90, 0.60, labelled=50),
    Planted(0.80, 0.85, 0.85, labelled=50),
    Planted(0.80, 0.90, 0.70, labelled=40),
    Planted(0.60, 0.85, 0.85, labelled=100),
    Planted(0.75, 0.95, 0.60, labelled=60),
)


def coverage(planted: Planted, runs: int, *, seed: int = 0) -> tuple[float, float, float, float]:
    """Return how often the corrected and the naive interval hold the truth, and how wide they are in the mean."""
    draw = random.Random(f"{seed} {planted}")
    held, naive, width, naive_width = 0, 0, 0.0, 0.0
    for _ in range(runs):
        rows = [planted.row(draw) for _ in range(ROWS)]
        labelled, judged = rows[: planted.labelled], [score for score, _ in rows[planted.labelled :]]
        found = Judge.corrected(judged, labelled)
        held += found.interval.low <= planted.share <= found.interval.high
        naive += found.naive_interval.low <= planted.share <= found.naive_interval.high
        width += found.interval.high - found.interval.low
        naive_width += found.naive_interval.high - found.naive_interval.low
    return held / runs, naive / runs, width / runs, naive_width / runs


def through_the_judge(planted: Planted, *, seed: int = 0) -> str:
    """Return the table of one run in which a scripted LM answers through `Judge`."""
    draw = random.Random(seed)
    answers = {f"row {number}.": planted.row(draw) for number in range(ROWS)}

    def script(request: object) -> dict[str, str]:
        [score] = [score for name, (score, _) in answers.items() if name in str(request)]
        return {"reasoning": "planted", "score": "yes" if score else "no"}

    judge = Judge("good", scale=bool)
    rows = [(Example(), Prediction(answer=name), bool(label)) for name, (_, label) in answers.items()]
    with context(lm=ScriptedLM(script), num_threads=1):
        calibration = calibrate(judge, rows[: planted.labelled])
        judged = [judge(example, prediction) for example, prediction, _ in rows[planted.labelled :]]
    return f"{calibration}\n\n{judge.corrected(judged, calibration)}"


def main(runs: int) -> None:
    """Print the coverage in each setting."""
    print(through_the_judge(SETTINGS[0]))
    print(f"\n{runs} runs of {ROWS} rows; 95 % intervals")
    print("share  right of good/bad  labelled  corrected holds  (width)  judge alone holds  (width)")
    for planted in SETTINGS:
        held, naive, width, naive_width = coverage(planted, runs)
        print(
            f"{planted.share:5.2f}  {planted.right_of_good:8.2f}/{planted.right_of_bad:.2f}     {planted.labelled:8d}  "
            f"{held:15.1%}  {width:7.3f}  {naive:17.1%}  {naive_width:7.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
