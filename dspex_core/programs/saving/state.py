"""The contents of a predictor's stored state, and their checks. PYTEST_DONT_REWRITE

A file may set how a model samples, and nothing that says which model is asked, where, with which key, or with which
words. So the names are a list of those that are allowed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from dspex_core.adapters.stored import adapter_to_json
from dspex_core.plain.display import unwritten_text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.programs.demos.selector import DemoSelector
    from dspex_core.signatures.signature import Signature

_log = logging.getLogger("dspex")

SAMPLING = frozenset(
    {
        *("temperature", "top_p", "top_k", "min_p", "typical_p", "n", "seed", "rollout_id"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "stop"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("reasoning_effort", "verbosity", "parallel_tool_calls", "cache"),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """What a predictor was before a state was loaded into it."""

    signature: type[Signature]
    config: Mapping[str, Any]
    demos: Sequence[Any]
    demo_selector: DemoSelector | None
    adapter: Adapter | None


class Parameter(Protocol):
    """What saving asks of a predictor."""

    signature: type[Signature]
    config: dict[str, Any]
    demo_selector: DemoSelector | None
    adapter: Adapter | None

    @property
    def demos(self) -> Sequence[Any]:
        """The worked examples."""

    @property
    def declared(self) -> Declaration:
        """What the program's source says of it; no stored state changes that."""

    @property
    def is_declared(self) -> bool:
        """Whether it may be another by now than the source says."""

    def declare(self, declaration: Declaration) -> None:
        """Note what the source says of it, unless that is noted already."""

    def dump_state(self) -> dict[str, Any]:
        """Return what optimization can change, as JSON data."""

    def with_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that has a dumped state. Raises ArtifactError: the state does not fit."""

    def assign(self, other: Any) -> None:
        """Take over what optimization can change from another predictor."""


def sampling_only(config: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Return the sampling parameters in a predictor's config; what else is in it is left out, with a warning.

    Args:
        config: Values by name.
        source: Where it stands, for the warning: `"the file"`, `"the program"`.
    """
    kept = {name: value for name, value in config.items() if name in SAMPLING and _is_setting(value)}
    left_out = [repr(name) for name in config if name not in kept]
    if left_out:
        message = "a stored program holds sampling parameters only: %s of %s is left out; give it in code"
        _log.warning(message, ", ".join(left_out), source)
    return kept


def adapter_state(adapter: Adapter | None) -> dict[str, Any]:
    """Return what a predictor's state says of its adapter: nothing without one, or of one that a file cannot name."""
    if adapter is None:
        return {}
    stored = adapter_to_json(adapter)
    if stored is None:
        _log.warning(
            "a stored program has built-in adapters only: %r of the program is left out; give it in code", adapter
        )
        return {}
    return {"adapter": stored}


def others(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file cannot set: it stays as the program has it."""
    return {name: value for name, value in config.items() if name not in SAMPLING}


def _is_setting(value: Any) -> bool:
    """Whether it is a number, a text, or a flat collection of them, as sampling parameters are."""
    parts = value if isinstance(value, list | tuple) else value.values() if isinstance(value, Mapping) else [value]
    return all(isinstance(part, str | int | float | None) for part in parts)


@contextmanager
def noted(problems: list[str], *kinds: type[Exception], before: str = "") -> Iterator[None]:
    """Note an error of these kinds among the problems, so that all of them are found before one is raised."""
    try:
        yield
    except kinds as error:
        is_endless = isinstance(error, RecursionError)
        problems.append(f"{before}{unwritten_text(error) if is_endless else error}")


def damage(state: Any) -> list[str]:
    """Say which parts of a predictor's state are not of the kind that `dump_state` returns."""
    if not isinstance(state, Mapping):
        return [f"it is not a mapping: {value_text(state, 200)}"]
    kinds = {"signature": Mapping, "demos": list | tuple, "demo_selector": Mapping | None, "config": Mapping}
    kinds["adapter"] = Mapping | None
    wrong = [
        f"its {name} cannot be {value_text(state[name], 200)}"
        for name, kind in kinds.items()
        if name in state and not isinstance(state[name], kind)
    ]
    if wrong:
        return wrong
    return [
        f"demo {n} is not a mapping: {value_text(demo, 200)}"
        for n, demo in enumerate(state.get("demos", ()))
        if not isinstance(demo, Mapping)
    ]
