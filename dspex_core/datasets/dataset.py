"""DSPy's `Dataset`: the base of datasets with seeded samples of their splits. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.example import Example, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Dataset:
    """A dataset whose subclass sets `_train`, `_dev` and `_test`: dicts, of which `train`, ... are seeded samples.

    Args:
        train_seed: The seed of the sample `train`.
        train_size: How many examples it has; all by default.
        eval_seed: The seed of the samples `dev` and `test`.
        dev_size: How many examples `dev` has.
        test_size: How many examples `test` has.
        input_keys: The fields that are inputs.
    """

    _train: Iterable[Mapping[str, Any]]
    _dev: Iterable[Mapping[str, Any]]
    _test: Iterable[Mapping[str, Any]]

    def __init__(
        self,
        train_seed: int = 0,
        train_size: int | None = None,
        eval_seed: int = 0,
        dev_size: int | None = None,
        test_size: int | None = None,
        input_keys: Sequence[str] | None = None,
    ) -> None:
        self.train_size, self.dev_size, self.test_size = train_size, dev_size, test_size
        self.train_seed, self.dev_seed, self.test_seed = train_seed, eval_seed, eval_seed
        self.input_keys = list(input_keys or ())
        self.do_shuffle = True
        self.name = type(self).__name__
        self._samples: dict[str, list[Example]] = {}

    def reset_seeds(
        self,
        train_seed: int | None = None,
        train_size: int | None = None,
        eval_seed: int | None = None,
        dev_size: int | None = None,
        test_size: int | None = None,
    ) -> None:
        """Change seeds and sizes; `None` leaves one as it is. The samples are drawn anew."""
        self.train_seed = self.train_seed if train_seed is None else train_seed
        self.train_size = self.train_size if train_size is None else train_size
        if eval_seed is not None:
            self.dev_seed = self.test_seed = eval_seed
        self.dev_size = self.dev_size if dev_size is None else dev_size
        self.test_size = self.test_size if test_size is None else test_size
        self._samples.clear()

    @property
    def train(self) -> list[Example]:
        """The sample for training."""
        return self._sample("train", self.train_size, self.train_seed)

    @property
    def dev(self) -> list[Example]:
        """The sample for choosing between programs."""
        return self._sample("dev", self.dev_size, self.dev_seed)

    @property
    def test(self) -> list[Example]:
        """The sample for the last measurement."""
        return self._sample("test", self.test_size, self.test_seed)

    @classmethod
    def prepare_by_seed(
        cls,
        train_seeds: Sequence[int] | None = None,
        train_size: int = 16,
        dev_size: int = 1000,
        divide_eval_per_seed: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        eval_seed: int = 2023,
        **kwargs: Any,
    ) -> Any:
        """Return a trainset for each seed and a part of the dev set for it, as `train_sets` and `eval_sets`.

        Raises:
            ConfigurationError: The dataset has fewer examples than are asked for.
        """
        seeds = list(train_seeds or (1, 2, 3, 4, 5))
        options: dict[str, Any] = {
            "train_size": train_size,
            "eval_seed": eval_seed,
            "dev_size": dev_size,
            "test_size": 0,
        }
        dataset = cls(**options, **kwargs)
        whole = dataset.dev
        each = dev_size // len(seeds) if divide_eval_per_seed else dev_size
        train_sets, eval_sets = [], []
        for number, seed in enumerate(seeds):
            dataset.reset_seeds(train_seed=seed)
            start = number * each if divide_eval_per_seed else 0
            train_sets.append(dataset.train)
            eval_sets.append(whole[start : start + each])
            if len(eval_sets[-1]) < each or len(train_sets[-1]) < train_size:
                raise ConfigurationError(
                    f"{dataset.name} has too few examples for train_size={train_size} and dev_size={dev_size}"
                )
        return Record(train_sets=train_sets, eval_sets=eval_sets)

    def _sample(self, split: str, size: int | None, seed: int) -> list[Example]:
        samples = self._samples
        if split not in samples:
            rows = {"train": "_train", "dev": "_dev", "test": "_test"}[split]
            samples[split] = self._shuffle_and_sample(split, getattr(self, rows, None) or (), size, seed)
        return samples[split]

    def _shuffle_and_sample(
        self, split: str, data: Iterable[Mapping[str, Any]], size: int | None, seed: int = 0
    ) -> list[Example]:
        rows = list(data)
        if self.do_shuffle:
            random.Random(seed).shuffle(rows)  # noqa: S311  no secret
        examples = [Example({**row, "dspy_uuid": str(uuid.uuid4()), "dspy_split": split}) for row in rows[:size]]
        return [example.with_inputs(*self.input_keys) for example in examples] if self.input_keys else examples
