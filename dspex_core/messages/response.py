"""What one call returns from a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dspex_core.errors.shown import value_text
from dspex_core.messages.functions import FunctionCall
from dspex_core.messages.parts import TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.messages.canonical import Json

_CUT_OFF = ("length", "content_filter")


class LMChunk(NamedTuple):  # made for every few letters; a frozen dataclass takes three times as long
    """A piece of a reply that is still arriving: some more text, reasoning, or both.

    `output` says of which of the `n` outputs, counted from 0.
    """

    text: str = ""
    reasoning: str = ""
    output: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def input_tokens(self) -> int:
        """The prompt's tokens, by another name."""
        return self.prompt_tokens

    @property
    def output_tokens(self) -> int:
        """The completion's tokens, by another name."""
        return self.completion_tokens

    @classmethod
    def from_counts(cls, counts: Mapping[str, Any]) -> Self:
        """Return the tokens of a dict with either pair of names."""
        return cls(
            counts.get("prompt_tokens", counts.get("input_tokens")) or 0,
            counts.get("completion_tokens", counts.get("output_tokens")) or 0,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)

    def to_json(self) -> Json:
        """Return the stored form."""
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}


@dataclass(frozen=True, slots=True)
class LMOutput:
    """One completion: its text, why it ended, and what is given apart from the text.

    That is the model's reasoning, the calls it asks for, the probabilities of the tokens (`logprobs`, if asked for),
    and the provider's citations.

    `finish_reason` is one of OpenAI's words where the provider's has the same meaning: `"stop"`, `"tool_calls"`,
    `"length"` (it reached `max_tokens`), `"content_filter"`.
    """

    text: str
    finish_reason: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[FunctionCall, ...] = ()
    logprobs: Json | None = None
    citations: tuple[Json, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "finish_reason", _shared(self.finish_reason))

    @property
    def is_cut_off(self) -> bool:
        """Whether it ended before the model was done: at a limit of tokens, or by a filter."""
        return self.finish_reason in _CUT_OFF

    @property
    def parts(self) -> tuple[TextPart | FunctionCall, ...]:
        """The text, then the calls of tools."""
        return (*((TextPart(self.text),) if self.text else ()), *self.tool_calls)

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        stored: Json = {"text": self.text}
        if self.finish_reason is not None:
            stored["finish_reason"] = self.finish_reason
        if self.reasoning is not None:
            stored["reasoning"] = self.reasoning
        if self.tool_calls:
            stored["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.logprobs is not None:
            stored["logprobs"] = self.logprobs
        if self.citations:
            stored["citations"] = list(self.citations)
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild an output from its stored form."""
        calls = tuple(FunctionCall.from_json(call) for call in stored.get("tool_calls", ()))
        apart = stored.get("logprobs"), tuple(stored.get("citations", ()))
        return cls(stored["text"], stored.get("finish_reason"), stored.get("reasoning"), calls, *apart)


@dataclass(frozen=True, slots=True)
class LMResponse:
    """The result of one call: `n` outputs, the tokens they took, and dollars if known, a finite number.

    `cached` is true when the answer came from a cache or a cassette; nothing was paid for it.
    `lm` is the model string of the fallback that answered, if one did. `latency` is how many seconds the answer took,
    where a recording keeps that.
    """

    outputs: tuple[LMOutput, ...]
    model: str = ""
    usage: Usage = Usage()
    cost: float | None = None
    cached: bool = False
    lm: str | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", _shared(self.model))
        if type(self.outputs) is not tuple:
            object.__setattr__(self, "outputs", tuple(self.outputs))
        if self.cost is not None:
            object.__setattr__(self, "cost", _dollars(self.cost))

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        model: str | None = None,
        usage: Usage | Mapping[str, Any] | None = None,
        cost: float | None = None,
        cache_hit: bool = False,
    ) -> LMResponse:
        """Return the response of an LM of one's own: one output with this text."""
        spent = usage if isinstance(usage, Usage) else Usage.from_counts(usage or {})
        return cls((LMOutput(text),), model or "", spent, cost, cache_hit)

    @property
    def output(self) -> LMOutput:
        """The first output."""
        return self.outputs[0]

    @property
    def parts(self) -> tuple[TextPart | FunctionCall, ...]:
        """The parts of the first output."""
        return self.outputs[0].parts

    @property
    def reasoning_content(self) -> str | None:
        """The first output's reasoning."""
        return self.outputs[0].reasoning

    @property
    def tool_calls(self) -> tuple[FunctionCall, ...]:
        """The calls of tools that the first output asks for."""
        return self.outputs[0].tool_calls

    @property
    def cache_hit(self) -> bool:
        """Whether the answer came from a cache, under DSPy's name."""
        return self.cached

    def usage_as_dict(self) -> dict[str, int]:
        """Return the tokens spent, by both pairs of names."""
        usage = self.usage
        both = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
        return {**both, **usage.to_json(), "total_tokens": usage.total_tokens}

    @property
    def is_cut_off(self) -> bool:
        """Whether an output ended before the model was done, so that the response is not kept in caches."""
        for output in self.outputs:  # noqa: SIM110  each call asks, and `any` takes three times as long
            if output.finish_reason in _CUT_OFF:
                return True
        return False

    @property
    def text(self) -> str:
        """The first output's text."""
        return self.outputs[0].text

    def to_json(self) -> Json:
        """Return the stored form. `cached` is not part of it."""
        stored: Json = {
            "outputs": [output.to_json() for output in self.outputs],
            "model": self.model,
            "usage": self.usage.to_json(),
        }
        if self.cost is not None:
            stored["cost"] = self.cost
        if self.lm is not None:
            stored["lm"] = self.lm
        if self.latency is not None:
            stored["latency"] = self.latency
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, cached: bool = False) -> LMResponse:
        """Rebuild a response from its stored form."""
        return cls(
            outputs=tuple(LMOutput.from_json(output) for output in stored["outputs"]),
            model=stored["model"],
            usage=Usage(**stored["usage"]),
            cost=stored.get("cost"),
            cached=cached,
            lm=stored.get("lm"),
            latency=stored.get("latency"),
        )


def _dollars(cost: Any) -> float | None:
    """Return a cost; `None` for one that is not finite: it would spoil each sum, and JSON has none.

    Raises:
        TypeError: It is no number.
    """
    try:
        dollars = cost if isinstance(cost, int | float) else float(cost)
        return dollars if isfinite(dollars) else None
    except OverflowError:
        return None
    except (TypeError, ValueError):
        shown = value_text(cost, 200)
        raise TypeError(f"the cost of a response is a number of dollars, or None, not {shown}") from None


def _shared(text: str | None) -> str | None:
    """Return a text that most replies have in common as one object, since histories keep it with each of them."""
    return sys.intern(text) if type(text) is str else text  # a server may send anything
