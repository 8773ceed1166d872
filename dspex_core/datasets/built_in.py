"""DSPy's datasets of the Hugging Face hub: HotPotQA, GSM8K and MATH, in DSPy's splits. PYTEST_DONT_REWRITE

They need the library `datasets`, which downloads them when one is made.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.datasets.dataset import Dataset
from dspex_core.datasets.hub import from_hub
from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.example import Example

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class HotPotQA(Dataset):
    """HotPotQA's hard questions (Yang et al. 2018): 75 % of its trainset, the rest of it as dev, its dev set as test.

    Args:
        *args: As for `Dataset`.
        only_hard_examples: Must be true, as its dev set has only such.
        keep_details: Whether examples keep all fields; by default those of dev keep the titles of their sources.
        unofficial_dev: Whether there is a dev set.
        **kwargs: As for `Dataset`.

    Raises:
        ConfigurationError: `only_hard_examples` is false.
        DatasetError: The library `datasets` is not there, or cannot read it.
    """

    def __init__(
        self,
        *args: Any,
        only_hard_examples: bool = True,
        keep_details: bool | Literal["dev_titles"] | None = "dev_titles",
        unofficial_dev: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not only_hard_examples:
            raise ConfigurationError("only_hard_examples=False is not supported: the dev set has hard examples only")
        names = ["question", "answer"]
        if keep_details is True:
            names = ["id", "question", "answer", "type", "supporting_facts", "context"]
        elif keep_details == "dev_titles":
            names = ["question", "answer", "supporting_facts"]
        train = [_titled(row, names) for row in _hub_rows("hotpot_qa", "fullwiki", split="train") if _is_hard(row)]
        _shuffle(train)
        end = len(train) * 75 // 100
        self._train = train[:end]
        self._dev = train[end:] if unofficial_dev else []
        if keep_details == "dev_titles":
            self._train = [{"question": row["question"], "answer": row["answer"]} for row in self._train]
        names = ["id", "question", "answer", "type", "supporting_facts"]
        self._test = [_titled(row, names) for row in _hub_rows("hotpot_qa", "fullwiki", split="validation")]


class GSM8K:
    """Grade-school problems (Cobbe et al. 2021): `train` and `dev`, 200 and 300 of its trainset, and its testset.

    Raises:
        DatasetError: The library `datasets` is not there, or cannot read it.
    """

    def __init__(self) -> None:
        self.do_shuffle = False
        found = from_hub("gsm8k", "main")
        train, test = ([_solved(row) for row in found[name]] for name in ("train", "test"))
        _shuffle(train)
        _shuffle(test)
        self.train, self.dev, self.test = train[:200], train[200:500], test


class MATH:
    """Competition problems (Hendrycks et al. 2021) of a subject: `train`, `dev` and `test` are all of its testset.

    Args:
        subset: The subject, such as `algebra`.

    Raises:
        DatasetError: The library `datasets` is not there, or cannot read it.
    """

    def __init__(self, subset: str) -> None:
        rows = from_hub("DigitalLearningGmbH/MATH-lighteval", subset)["test"]
        examples = [
            Example(
                question=row["problem"], reasoning=row["solution"], answer=extract_answer(row["solution"])
            ).with_inputs("question")
            for row in rows
        ]
        _shuffle(examples)
        size = min(350, len(examples) // 3)
        self.train, self.dev, self.test = examples[:size], examples[size : 2 * size], examples[2 * size :]

    def metric(self, example: Example, pred: Any, trace: Any = None) -> bool:
        """Return whether two answers are equal by the library of MATH's authors.

        Raises:
            ImportError: The library is not there.
        """
        try:
            with foreign_code():
                from math_equivalence import is_equiv  # type: ignore[import-not-found]  # optional, and not on PyPI
        except ImportError as error:
            message = "MATH's metric needs `pip install git+https://github.com/hendrycks/math.git`"
            raise ImportError(message) from error
        return bool(is_equiv(example.answer, pred.answer))


def extract_answer(s: str) -> str | None:
    r"""Return what is in the first `\boxed{...}` of a solution, without its `\text{...}`; `None` without a box."""
    _, box, rest = s.partition("\\boxed{")
    if not box:
        return None
    depth, end = 1, len(rest)
    for place, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            end = place
            break
    return re.sub(r"\\text\{[^}]*\}", "", rest[:end]).replace("\\!", "").strip()


def parse_integer_answer(answer: str, only_first_line: bool = True) -> int:  # noqa: FBT001, FBT002  DSPy's signature
    """Return the last whole number of an answer, or of its first line; 0 without one."""
    text = answer.strip().split("\n")[0] if only_first_line else answer
    words = [word for word in text.split() if any(character.isdigit() for character in word)]
    digits = "".join(filter(str.isdigit, words[-1].split(".")[0])) if words else ""
    try:
        return int(digits or 0)
    except ValueError:  # a digit of another kind, such as a superscript
        return 0


def gsm8k_metric(gold: Any, pred: Any, trace: Any = None) -> bool:  # noqa: ARG001  a metric's signature
    """Return whether the whole numbers of two answers are equal."""
    return parse_integer_answer(str(gold.answer)) == parse_integer_answer(str(pred.answer))


def _hub_rows(name: str, *args: str, split: str) -> Iterable[Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = from_hub(name, *args, split=split)
    return rows


def _is_hard(row: Mapping[str, Any]) -> bool:
    return bool(row["level"] == "hard")


def _titled(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    found = {name: row[name] for name in names}
    facts = found.pop("supporting_facts", None)
    return found if facts is None else {**found, "gold_titles": set(facts["title"])}


def _solved(row: Mapping[str, Any]) -> Example:
    *reasoning, _, answer = row["answer"].strip().split()
    return Example(
        question=row["question"],
        gold_reasoning=" ".join(reasoning),
        answer=str(int(answer.replace(",", ""))),
    ).with_inputs("question")


def _shuffle(rows: list[Any]) -> None:
    random.Random(0).shuffle(rows)  # noqa: S311  no secret; DSPy's order
