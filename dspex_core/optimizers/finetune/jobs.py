"""Jobs that train an LM: by its own `Provider`, or at a provider through LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.lm.client import LM
from dspex_core.lm.training import TrainDataFormat
from dspex_core.plain.display import error_text, value_text
from dspex_core.plain.secrets import SecretMapping, masked
from dspex_core.spending.prices import keep_prices_local

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.lm.training import TrainingJob
    from dspex_core.optimizers.finetune.data import TrainingData

_ENDED_BADLY = ("failed", "cancelled", "canceled", "error")


@dataclass
class SubmittedJob:
    """A training job at a provider of LiteLLM.

    Args:
        id: What the provider calls it.
        lm: The LM that is trained.
        provider: LiteLLM's name of the provider.
        access: Address and key, never shown.
    """

    id: str
    lm: LM
    provider: str
    access: Mapping[str, Any] = field(repr=False)

    def status(self) -> str:
        """Ask the provider how far it is, such as `"running"` or `"succeeded"`."""
        return str(self._asked().status)

    def result(self, *, poll: float = 30.0) -> LM:
        """Wait for its end, asking every `poll` seconds, and return the trained LM.

        Raises:
            ConfigurationError: The provider says that it failed, or was cancelled.
        """
        while True:
            job = self._asked()
            if job.status == "succeeded":
                return self.lm.copy(model=f"{self.provider}/{job.fine_tuned_model}")
            if job.status in _ENDED_BADLY:
                reason = getattr(job, "error", None)
                raise ConfigurationError(
                    f"the training job {self.id!r} of {self.lm.model!r} {job.status}: {value_text(reason, 500)}"
                )
            time.sleep(poll)

    def _asked(self) -> Any:
        with foreign_code(), _provider_errors(self.provider):
            keep_prices_local()
            import litellm  # seconds, and only for jobs

            return litellm.retrieve_fine_tuning_job(self.id, custom_llm_provider=self.provider, **self.access)


def trains_itself(lm: LanguageModel | None) -> bool:
    """Return whether an LM has a `Provider` that trains its weights."""
    return isinstance(lm, LM) and lm.provider.finetunable


def started(data: TrainingData, train_kwargs: Mapping[str, Any]) -> TrainingJob | SubmittedJob:
    """Start a job for training data that is written: by the LM's own `Provider` if it trains, else through LiteLLM.

    Raises:
        ConfigurationError: The LM is not one of a provider, or the provider refuses.
    """
    lm = data.lm
    if not isinstance(lm, LM) or not trains_itself(lm):
        return submitted(data, train_kwargs)
    lm.kill()  # as in DSPy: training may need what its server holds
    return lm.finetune(data.rows, TrainDataFormat.CHAT, train_kwargs)


def trained(job: TrainingJob | SubmittedJob, *, poll: float) -> LM:
    """Wait for a job's LM.

    Raises:
        ConfigurationError: The training failed, or was cancelled.
    """
    if isinstance(job, SubmittedJob):
        return job.result(poll=poll)
    try:
        lm = job.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001  what training raises is the user's
        lm = error
    if isinstance(lm, BaseException):  # a job may have the error as its result, as DSPy's have
        raise ConfigurationError(f"training {job.model!r} failed: {error_text(lm)}") from lm
    if not isinstance(lm, LM):
        raise ConfigurationError(f"the training of {job.model!r} must end with an LM, not with {value_text(lm, 200)}")
    return lm


def submitted(data: TrainingData, train_kwargs: Mapping[str, Any]) -> SubmittedJob:
    """Upload training data and start a job.

    Args:
        data: The training data, already written.
        train_kwargs: Further arguments of LiteLLM's `create_fine_tuning_job`, such as `hyperparameters`.

    Raises:
        ConfigurationError: The LM is not one of a provider, or the provider refuses.
    """
    lm = data.lm
    if not isinstance(lm, LM):
        raise ConfigurationError(f"only an LM of a provider can be trained, such as LM('openai/...'), not {lm!r}")
    provider, _, model = lm.model.partition("/") if "/" in lm.model else ("openai", "", lm.model)
    found = {"api_base": lm.api_base, "api_key": lm.api_key}
    access = SecretMapping({name: value for name, value in found.items() if value is not None})
    content = (data.path.name, data.path.read_bytes())
    with foreign_code(), _provider_errors(provider):
        keep_prices_local()
        import litellm  # seconds, and only for jobs

        file: Any = litellm.create_file(file=content, purpose="fine-tune", custom_llm_provider=provider, **access)
        job: Any = litellm.create_fine_tuning_job(
            **{"model": model, "training_file": file.id, "custom_llm_provider": provider, **access, **train_kwargs}
        )
    return SubmittedJob(str(job.id), lm, provider, access)


@contextmanager
def _provider_errors(provider: str) -> Iterator[None]:
    """Turn what LiteLLM raises, of any class, into one error that shows no key."""
    try:
        yield
    except Exception as error:
        text = masked(error_text(error))
        raise ConfigurationError(f"fine-tuning at {provider!r} failed: {text}") from error
