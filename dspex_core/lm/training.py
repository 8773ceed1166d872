"""Base classes for training the weights behind an LM, with DSPy's names, and an LM's part in it. PYTEST_DONT_REWRITE

A user's `Provider` says how weights are trained; `LM(..., provider=MyProvider())` makes an LM that can be.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from contextvars import copy_context
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors import LMUnsupportedFeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger("dspex")


class TrainDataFormat(StrEnum):
    """The form of training examples: `CHAT` has `{"messages": [...]}`, `COMPLETION` a prompt and a completion."""

    CHAT = "chat"
    COMPLETION = "completion"
    GRPO_CHAT = "grpo_chat"


class TrainingStatus(StrEnum):
    """How far a training job is."""

    not_started = "not_started"
    pending = "pending"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


class TrainingJob(Future[Any]):
    """A training that runs in a thread; its result is the trained LM. A subclass adds `status` and `cancel`.

    Args:
        thread: The thread that trains.
        model: The model that is trained.
        train_data: The training examples.
        train_data_format: Their form.
        train_kwargs: Further arguments for the provider.
    """

    def __init__(
        self,
        thread: threading.Thread | None = None,
        model: str | None = None,
        train_data: Sequence[Mapping[str, Any]] | None = None,
        train_data_format: TrainDataFormat | None = None,
        train_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.thread = thread
        self.model = model
        self.train_data = train_data
        self.train_data_format = train_data_format
        self.train_kwargs = dict(train_kwargs or {})

    def status(self) -> Any:
        """Return how far the training is, in the provider's terms; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define status")


class ReinforceJob:
    """A training by rewards, step by step; a subclass defines what each method does.

    Args:
        lm: The LM that is trained.
        train_kwargs: Further arguments for the provider.
    """

    def __init__(self, lm: Any, train_kwargs: Mapping[str, Any] | None = None) -> None:
        self.lm = lm
        self.train_kwargs = dict(train_kwargs or {})
        self.checkpoints: dict[str, Any] = {}
        self.last_checkpoint: str | None = None

    def initialize(self) -> None:
        """Prepare the training; `LM.reinforce` calls it."""
        raise self._undefined("initialize")

    def step(
        self, train_data: Sequence[Mapping[str, Any]], train_data_format: TrainDataFormat | str | None = None
    ) -> None:
        """Train on some examples."""
        raise self._undefined("step")

    def terminate(self) -> None:
        """End the training, and free what it holds."""
        raise self._undefined("terminate")

    def save_checkpoint(self, checkpoint_name: str) -> None:
        """Keep the weights as they are now."""
        raise self._undefined("save_checkpoint")

    def cancel(self) -> None:
        """Stop the training."""
        raise self._undefined("cancel")

    def status(self) -> Any:
        """Return how far the training is."""
        raise self._undefined("status")

    def _undefined(self, method: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not define {method}")


class Provider:
    """Who runs and trains the model of an LM; a subclass that trains sets `finetunable` and defines `finetune`.

    `TrainingJob` and `ReinforceJob` are the classes of its jobs.
    """

    def __init__(self) -> None:
        self.finetunable = False
        self.reinforceable = False
        self.TrainingJob: type[TrainingJob] = TrainingJob
        self.ReinforceJob: type[ReinforceJob] = ReinforceJob

    @staticmethod
    def is_provider_model(model: str) -> bool:  # noqa: ARG004  for subclasses
        """Return whether a model string is one of this provider."""
        return False

    @staticmethod
    def launch(lm: Any, launch_kwargs: dict[str, Any] | None = None) -> None:
        """Start the model's server, if it does not run yet; by default, nothing has to be started."""

    @staticmethod
    def kill(lm: Any, launch_kwargs: dict[str, Any] | None = None) -> None:
        """Stop the model's server, if it runs; by default, nothing has to be stopped."""

    @staticmethod
    def finetune(
        job: Any, model: Any, train_data: Any, train_data_format: Any, train_kwargs: dict[str, Any] | None = None
    ) -> str:
        """Train a model and return the name of the trained one; it runs in the job's thread."""
        raise NotImplementedError("the provider does not define finetune")


class Trainable:
    """The part of an LM that trains its weights, through its `provider`."""

    model: str
    provider: Any  # a `Provider`
    finetuning_model: str | None
    train_kwargs: dict[str, Any]

    def copy(self, **changes: Any) -> Self:
        """Return the same LM with other arguments."""
        raise NotImplementedError

    def infer_provider(self) -> Provider:
        """Return the provider of an LM that is made without one: it trains nothing."""
        return Provider()

    def launch(self, launch_kwargs: dict[str, Any] | None = None) -> None:
        """Have the provider start the model's server."""
        self.provider.launch(self, launch_kwargs)

    def kill(self, launch_kwargs: dict[str, Any] | None = None) -> None:
        """Have the provider stop the model's server."""
        self.provider.kill(self, launch_kwargs)

    def finetune(
        self,
        train_data: Sequence[Mapping[str, Any]],
        train_data_format: TrainDataFormat | None,
        train_kwargs: Mapping[str, Any] | None = None,
    ) -> TrainingJob:
        """Train the weights in a thread.

        Returns:
            A future of the trained LM: `job.result()` waits for it, and raises what the training raised.

        Raises:
            LMUnsupportedFeatureError: The provider does not train.
        """
        self._check(self.provider.finetunable, "finetune")
        job: TrainingJob = self.provider.TrainingJob(
            model=self.finetuning_model or self.model,
            train_data=train_data,
            train_data_format=train_data_format,
            train_kwargs=train_kwargs or self.train_kwargs,
        )
        job.thread = threading.Thread(target=copy_context().run, args=(self._train, job), daemon=True)
        job.thread.start()
        return job

    def reinforce(self, train_kwargs: Mapping[str, Any] | None = None) -> ReinforceJob:
        """Start a training by rewards, and return its job, whose `step` trains.

        Raises:
            LMUnsupportedFeatureError: The provider does not train by rewards.
        """
        self._check(self.provider.reinforceable, "reinforce")
        job: ReinforceJob = self.provider.ReinforceJob(lm=self, train_kwargs=train_kwargs)
        job.initialize()
        return job

    def _train(self, job: TrainingJob) -> None:
        try:
            model = self.provider.finetune(
                job=job,
                model=job.model,
                train_data=job.train_data,
                train_data_format=job.train_data_format,
                train_kwargs=job.train_kwargs,
            )
            result = self.copy(model=model)
        except Exception as error:  # noqa: BLE001  the job hands it on, of whatever kind
            _log.warning("training %r failed: %s", job.model, error)
            if not job.done():
                job.set_exception(error)
        else:
            if not job.done():  # it may have been cancelled
                job.set_result(result)

    def _check(self, is_able: bool, feature: str) -> None:  # noqa: FBT001  what the provider says
        if not is_able:
            message = (
                f"{type(self.provider).__name__} cannot {feature}; give the LM a Provider of your own, provider=..., "
                "or train through LiteLLM: BootstrapFinetune(submit=True)"
            )
            raise LMUnsupportedFeatureError(message, model=self.model, features=[feature])
