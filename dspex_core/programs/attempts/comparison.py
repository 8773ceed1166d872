"""MultiChainComparison: let the model weigh several attempts at an answer. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError, SignatureError
from dspex_core.errors.shown import ENDLESS, value_text
from dspex_core.plain.counts import whole_number
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, Signature, ensure_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex_core.flow.steps import Flow


class MultiChainComparison(BuiltIn):
    """Shows the model `M` attempts at a task, each with its reasoning, and asks for a better one.

    Source: Yoran et al. 2023, "Answering Questions by Meta-Reasoning over Multiple Chains of Thought".

    Args:
        signature: The task: a `Signature` class or its string form. Its last output is compared.
        M: How many attempts a call gets.
        temperature: Of the call that compares.
        **config: Further sampling parameters, as for `Predict`.
    """

    def __init__(
        self,
        signature: str | type[Signature],
        M: int = 3,  # noqa: N803  DSPy's name
        temperature: float = 0.7,
        **config: Any,
    ) -> None:
        task = ensure_signature(signature)
        if "completions" in task.input_fields:
            raise SignatureError(
                f"{task!r} cannot have the input 'completions': each call gives the attempts by that name"
            )
        self.M = whole_number("M", M, why="it is how many attempts are compared")
        self.last_key = list(task.output_fields)[-1]
        for name in _attempt_names(self.M):
            task = task.append(name, InputField(desc="an attempt, which may be wrong"), str)
        rationale = OutputField(desc="what is right and wrong in the attempts, and the correct reasoning")
        self.predict = Predict(task.prepend("rationale", rationale, str), temperature=temperature, **config)

    def flow(self, completions: Iterable[Mapping[str, Any]], **inputs: Any) -> Flow[Any]:
        """Compare attempts.

        Args:
            completions: `M` predictions, or mappings, with the last output and `rationale` or `reasoning`.
            **inputs: The inputs of the task.

        Raises:
            ConfigurationError: There are not `M` of them, or one lacks a field.
        """
        attempts = [self._shown(number, completion) for number, completion in enumerate(completions, 1)]
        if len(attempts) != self.M:
            raise ConfigurationError(f"M={self.M} attempts are compared, and {len(attempts)} were given: set M to that")
        shown = dict(zip(_attempt_names(self.M), attempts, strict=True))
        return (yield from running(self.predict, **shown, **inputs))

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the signature as it was given, and `M`."""
        task = self.predict.signature.delete("rationale")
        for name in _attempt_names(self.M):
            task = task.delete(name)
        return {"signature": task, "M": self.M}

    def _shown(self, number: int, completion: Mapping[str, Any]) -> str:
        reasoning = completion.get("rationale", completion.get("reasoning"))
        if reasoning is None or self.last_key not in completion:
            raise ConfigurationError(
                f"attempt {number} needs {self.last_key!r}, and 'rationale' or 'reasoning'; it is "
                f"{value_text(completion, 200)}"
            )
        try:
            return f"{str(reasoning).strip()}\nSo {self.last_key} is: {completion[self.last_key]}"
        except RecursionError:
            raise ConfigurationError(f"attempt {number} cannot be shown: a value of it {ENDLESS}") from None


def _attempt_names(count: int) -> list[str]:
    return [f"reasoning_attempt_{number}" for number in range(1, count + 1)]
