"""GEPA: instructions that an LM improves by reflecting on feedback. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import math
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.errors.optional import optional
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.gepa.adapter import Escape, Path, ProgramAdapter, plain, selecting
from dspex_core.optimizers.gepa.feedback import Feedback, scoring
from dspex_core.optimizers.gepa.reflection import Reflection
from dspex_core.optimizers.gepa.result import GEPAResult
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.plain.display import error_text
from dspex_core.plain.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Run
    from dspex_core.programs.base import Module
    from dspex_core.spending.budget import Budget

_log = logging.getLogger("dspex")

AUTO = {"light": 6, "medium": 12, "heavy": 18}  # how many candidates, as in DSPy
_OURS = (  # of `gepa.optimize`
    *("adapter", "callbacks", "candidate_selection_strategy", "display_progress_bar", "evaluator", "logger"),
    *("max_merge_invocations", "max_metric_calls", "max_reflection_cost", "module_selector", "perfect_score"),
    *("raise_on_exception", "reflection_lm", "reflection_minibatch_size", "reflection_prompt_template", "run_dir"),
    *("seed", "seed_candidate", "skip_perfect_score", "task_lm", "track_best_outputs", "trainset", "use_cloudpickle"),
    *("use_merge", "use_mlflow", "use_wandb", "valset", "wandb_api_key", "wandb_init_kwargs"),
)


@dataclass(frozen=True, repr=False)
class GEPA(Optimizer):
    """Improves instructions: an LM reads what went wrong on a few examples, and writes a better instruction.

    Each step takes a candidate of the Pareto front (those that are best on some row of the valset), runs it on a few
    training examples, and lets the reflection LM rewrite the instruction of a predictor from the metric's feedback. A
    new candidate that is better on these examples is scored on the whole valset. Candidates that improved different
    predictors are merged. The best on the valset is returned, of equal ones the earlier. Demos stay as they are.

    The search is that of the `gepa` library: `pip install 'pytest-dspex[optimize]'`. It writes no file and prints
    nothing. A compile ends early when a candidate is perfect on the whole valset (with `skip_perfect_score`), and when
    the first five reflections have not written a single instruction.

    Source: Agrawal et al. 2025, "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning".

    Args:
        metric: `metric(gold, pred, trace, pred_name, pred_trace)`, which returns a score with feedback: a `Score`, or a
            `Prediction` with `score` and `feedback`; see `FeedbackMetric`. A metric that takes less, or gives no
            feedback, works, too: then the score is all the feedback, and a warning says so.
        auto: How much to spend: `"light"`, `"medium"` or `"heavy"`.
        max_full_evals: How much to spend, in runs over trainset and valset together.
        max_metric_calls: How much to spend, in runs on one example. Of these three exactly one is given.
        reflection_minibatch_size: How many training examples a step reflects on.
        candidate_selection_strategy: `"pareto"`, or `"current_best"`, or what else the library knows.
        reflection_lm: The LM that reflects, which should be a strong one; that of the settings by default.
        skip_perfect_score: Whether a step ends where all of its examples are perfect already.
        add_format_failure_as_feedback: Whether a reply that could not be read is reflected on.
        instruction_proposer: Writes new instructions itself:
            `proposer(candidate=, reflective_dataset=, components_to_update=)` returns texts by the predictor's path.
            It runs with `reflection_lm` as the LM of the settings.
        component_selector: Which predictors a step rewrites: `"round_robin"`, `"all"`, or a function.
        use_merge: Whether candidates are merged.
        max_merge_invocations: How many merges there are at most.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        failure_score: The score of an example that fails.
        perfect_score: The best score there is.
        log_dir: A folder whose `journal.jsonl` is the journal, where `compile` is given none: it goes on from there.
        track_stats: Whether the program gets `detailed_results`, a `GEPAResult`.
        use_wandb: Whether the library reports to Weights & Biases, with `wandb_api_key` and `wandb_init_kwargs`.
        track_best_outputs: Whether `detailed_results` has the best outputs for each row of the valset.
        warn_on_score_mismatch: Whether to warn where the score for a predictor is not that of the program.
        use_mlflow: Whether the library reports to MLflow.
        seed: Decides everything random; `None` is 0.
        gepa_kwargs: Further arguments of `gepa.optimize`, such as `stop_callbacks` or `batch_sampler`.

    Raises ConfigurationError: Not exactly one of the three limits is given, or an argument has a value it cannot have.
    """

    _needs_metric = True

    takes_teacher = False

    metric: Metric
    _: KW_ONLY
    auto: Literal["light", "medium", "heavy"] | None = None
    max_full_evals: int | None = None
    max_metric_calls: int | None = None
    reflection_minibatch_size: int | None = 3
    candidate_selection_strategy: str = "pareto"
    reflection_lm: LanguageModel | None = None
    skip_perfect_score: bool = True
    add_format_failure_as_feedback: bool = False
    instruction_proposer: Callable[..., Any] | None = None
    component_selector: Callable[..., Any] | str = "round_robin"
    use_merge: bool = True
    max_merge_invocations: int | None = 5
    num_threads: int | None = None
    failure_score: float = 0.0
    perfect_score: float = 1.0
    log_dir: str | PathLike[str] | None = None
    track_stats: bool = False
    use_wandb: bool = False
    wandb_api_key: str | None = field(default=None, repr=False)
    wandb_init_kwargs: Mapping[str, Any] | None = None
    track_best_outputs: bool = False
    warn_on_score_mismatch: bool = True
    use_mlflow: bool = False
    seed: int = 0
    gepa_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.seed is None:
            object.__setattr__(self, "seed", 0)
        super().__post_init__()
        limits = {name: getattr(self, name) for name in ("auto", "max_full_evals", "max_metric_calls")}
        given = {name: value for name, value in limits.items() if value is not None}
        if len(given) != 1:
            raise ConfigurationError(f"give GEPA exactly one of {', '.join(limits)}, not {given or 'none of them'}")
        if self.auto is not None and self.auto not in AUTO:
            raise ConfigurationError(f"auto must be one of {', '.join(AUTO)}, not {self.auto!r}")
        if self.track_best_outputs and not self.track_stats:
            raise ConfigurationError("track_best_outputs needs track_stats=True: detailed_results has the outputs")
        taken = sorted(set(self.gepa_kwargs or {}) & set(_OURS))
        if taken:
            raise ConfigurationError(
                f"gepa_kwargs cannot have {', '.join(taken)}: GEPA decides that, or has a parameter"
            )

    def get_params(self) -> dict[str, Any]:
        """Return the options, without those that carry credentials."""
        return without_secrets({**super().get_params(), "wandb_init_kwargs": None})

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most, if a program has one predictor."""
        held_out = len(trainset) // 2 if valset is None else len(valset)
        calls = self.most_runs(1, len(trainset), held_out)
        size = self.reflection_minibatch_size or 3
        return CompilePlan(train_runs=calls + 2 * size, val_runs=2 * held_out, proposals=calls // size + 1)

    def most_runs(self, predictors: int, training: int, validation: int) -> int:
        """Return after how many runs on an example no further step begins.

        Args:
            predictors: How many predictors the program has.
            training: The size of the trainset.
            validation: The size of the valset.
        """
        if self.max_metric_calls is not None:
            return self.max_metric_calls
        if self.max_full_evals is not None:
            return self.max_full_evals * (training + validation)
        candidates = AUTO[self.auto or "light"]
        steps = int(max(4 * predictors * math.log2(candidates), 1.5 * candidates))
        full = (steps + 1) // 5 + 1 + (1 if steps < 5 else 0)  # noqa: PLR2004  every fifth, as in DSPy
        return validation + 5 * candidates + 35 * steps + full * validation

    def _framed(
        self, run: Run[Student], budget: Budget | None, journal: str | PathLike[str] | None, options: dict[str, Any]
    ) -> Student:
        if journal is None and self.log_dir is not None:
            journal = FilePath(self.log_dir) / "journal.jsonl"
        return super()._framed(run, budget, journal, options)

    def _check_teacher(self, student: Module, teacher: Any, trainset: Sequence[Example]) -> None:
        """Refuse any, as DSPy does."""
        if teacher is not None:
            reason = "it takes no teacher: it learns from feedback, not from what another program does"
            raise self.failure(reason, trainset)

    def _compile(self, run: Run[Student]) -> Student:
        """Return the best program.

        Without a valset, half of the trainset, drawn by the seed, is kept for that, and a warning says so.

        Raises:
            ConfigurationError: The library is not installed.
            OptimizationError: There is no predictor, or the program or the metric fails on each example.
        """
        gepa = optional("gepa", "GEPA needs the library gepa", extra="optimize")
        texts: dict[str, str] = {
            Path(path): each.signature.instructions for path, each in run.student.named_predictors()
        }
        if not texts:
            raise run.failure("the program has no predictor whose instruction could be improved")
        run.hold_out()
        run.metric = scoring(self.metric)
        run.limits = replace(run.limits, max_errors=2**31)  # a failed example is a score, as in DSPy
        adapter = ProgramAdapter(
            run,
            feedback=Feedback(self.metric, self.warn_on_score_mismatch),
            reflection=Reflection(self.reflection_lm, self.instruction_proposer),
            failure_score=self.failure_score,
            shows_failed_replies=self.add_format_failure_as_feedback,
            keeps_values=self.instruction_proposer is not None,
        )
        watch = _Watch(adapter, self.perfect_score if self.skip_perfect_score else math.inf)
        try:
            gepa.optimize(**self._arguments(run, texts, adapter, watch))
        except Escape as escape:
            raise escape.error from escape.error.__cause__
        except Exception as error:
            if run.best is None:
                raise run.failure(f"the library gepa failed: {error_text(error)}") from error
            run.stopped = f"the library gepa failed: {error_text(error)}"
            _log.warning("GEPA ended early, and the best so far is returned: %s", run.stopped)
        finally:
            if self.track_stats and run.best is not None and watch.state is not None:
                vars(run.best)["detailed_results"] = self._result(run, adapter, watch.state)
        assert run.best is not None, "the student itself was scored"
        run.stopped = run.stopped or watch.stopped
        return run.best

    def _arguments(
        self, run: Run[Any], texts: Mapping[str, str], adapter: ProgramAdapter[Any], watch: _Watch
    ) -> dict[str, Any]:
        own = dict(self.gepa_kwargs or {})
        stoppers = own.pop("stop_callbacks", None) or []
        selector = self.component_selector
        return {
            "seed_candidate": dict(texts),
            "trainset": adapter.trainset,
            "valset": adapter.valset,
            "adapter": adapter,
            "candidate_selection_strategy": self.candidate_selection_strategy,
            "skip_perfect_score": self.skip_perfect_score,
            "reflection_minibatch_size": self.reflection_minibatch_size,
            "perfect_score": self.perfect_score,
            "module_selector": selector if isinstance(selector, str) else selecting(selector),
            "use_merge": self.use_merge,
            "max_merge_invocations": 5 if self.max_merge_invocations is None else self.max_merge_invocations,
            "max_metric_calls": self.most_runs(len(texts), len(run.trainset), len(run.validation)),
            "stop_callbacks": [watch.is_over, *(stoppers if isinstance(stoppers, list | tuple) else [stoppers])],
            "callbacks": [watch],
            "logger": watch,
            "run_dir": None,  # it would hold pickles; our journal goes on instead
            "use_wandb": self.use_wandb,
            "wandb_api_key": self.wandb_api_key,
            "wandb_init_kwargs": None if self.wandb_init_kwargs is None else dict(self.wandb_init_kwargs),
            "use_mlflow": self.use_mlflow,
            "track_best_outputs": self.track_best_outputs,
            "display_progress_bar": False,
            "raise_on_exception": True,
            "seed": run.random("gepa").getrandbits(32),
            **own,
        }

    def _result(self, run: Run[Any], adapter: ProgramAdapter[Any], state: Any) -> GEPAResult:
        def scores(texts: Mapping[str, str]) -> dict[int, float]:
            return dict(sorted(adapter.scored[tuple(plain(texts).items())].candidate.scores.items()))

        log_dir = None if self.log_dir is None else str(self.log_dir)

        def program(texts: Mapping[str, str]) -> Module:
            made: Module = adapter.program(plain(texts))
            return made

        return GEPAResult.of(state, program, scores=scores, log_dir=log_dir, seed=run.seed)


class _Watch:
    """Sees what the library does: its state, its messages, and when it may end."""

    def __init__(self, adapter: ProgramAdapter[Any], perfect: float) -> None:
        self._adapter = adapter
        self._perfect = perfect
        self.state: Any = None
        self.stopped = ""

    def on_iteration_start(self, event: Mapping[str, Any]) -> None:
        """Keep the state, from which the result is made."""
        self.state = event["state"]

    def log(self, message: str) -> None:
        """Take a message of the library."""
        _log.debug("gepa: %s", message)

    def is_over(self, state: Any) -> bool:
        """Whether nothing better can be found, or nothing at all."""
        self.state = state
        if self._adapter.reflection.is_hopeless:
            self.stopped = self._adapter.reflection.reason
        elif any(self._is_perfect(each.candidate.scores) for each in self._adapter.scored.values() if each.is_closed):
            self.stopped = "a candidate is perfect on the whole valset"
        return bool(self.stopped)

    def _is_perfect(self, scores: Mapping[int, float]) -> bool:
        return all(score >= self._perfect for score in scores.values())
