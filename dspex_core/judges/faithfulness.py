"""Faithfulness: whether a context supports what a prediction claims. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ConfigurationError, JudgeError
from dspex_core.judges.base import BaseJudge, Opinion
from dspex_core.judges.material import FENCED, checked_fields, fenced, fields_of, inputs_of, text_of, titled
from dspex_core.programs.base import running
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.flow.steps import Flow

_EXTRACT = f"""\
List what the text to judge claims: each fact as one short sentence that can be understood alone, with names in the
place of "it" and "they". Leave out greetings, questions, and what is said of the text itself. Add nothing, and correct
nothing.

{FENCED}"""
_CHECK = f"""\
Does the context support the claim? Answer yes only if the claim follows from what the context says. Answer no if the
context contradicts it or does not say so, even if you know the claim to be true.

{FENCED}"""
_THINKING = "reasoning"  # the output of ChainOfThought, which claims nothing to the user


class Faithfulness(BaseJudge):
    """A metric: the share of a prediction's claims that a context supports.

    The model lists the claims, and then checks each in a call of its own. The feedback lists the unsupported ones, and
    the `details` all (`claims`, each with its answer).

    Args:
        context: The field with the context, a text or a list of passages: the prediction's, or else the example's.
        fields: The fields of the prediction whose claims are checked; by default all but the context and `reasoning`.
        no_claims: The score of a prediction without claims, such as "I don't know". By default it is an error: a
            judge that has found nothing to check has checked nothing.
        **options: As for `BaseJudge`.

    Raises on a call:
        JudgeError: The model failed, or found no claims.
        ConfigurationError: A field does not exist, or the context is empty.
    """

    def __init__(
        self,
        context: str = "context",
        *,
        fields: Sequence[str] | None = None,
        no_claims: float | None = None,
        **options: Any,
    ) -> None:
        self.context = context
        self.fields = checked_fields(fields)
        self.no_claims = no_claims
        extracted = {"material": InputField(), "claims": (list[str], OutputField())}
        self.extract = Predict(make_signature(extracted, _EXTRACT, "Claims"))
        checked = {"reasoning": OutputField(), "supported": (Literal["yes", "no"], OutputField())}
        self.check = Predict(make_signature({"material": InputField(), **checked}, _CHECK, "Support"))
        super().__init__(**options)

    def opinion(self, example: Any, prediction: Any, config: Mapping[str, Any]) -> Flow[Opinion]:
        """List the claims and check each."""
        context, asked, made = self._sources(example, prediction)
        material = fenced({**titled(asked, "given"), **titled(made, "to judge")})
        found = yield from running(self.extract, material=material, config=config)
        claims = [claim for claim in map(str.strip, found.claims) if claim]
        if not claims:
            return self._without_claims()
        checked = []
        for claim in claims:
            material = fenced({"context": context, "claim": claim})
            answer = yield from running(self.check, material=material, config=config)
            checked.append({"claim": claim, "supported": answer.supported == "yes", "why": answer.reasoning})
        return _opinion(checked)

    def _sources(self, example: Any, prediction: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the context, the inputs of the example, and what is judged."""
        given, made = fields_of(example), fields_of(prediction)
        found = {**given, **made}
        names = self.fields or tuple(name for name in made if name not in (self.context, _THINKING))
        missing = [name for name in (self.context, *names) if name.rpartition(".")[2] not in found]
        if missing or not names:
            raise ConfigurationError(
                f"faithfulness needs the field {', '.join(missing) or 'to judge'!r}; there are: {', '.join(found)}"
            )
        context = found[self.context]
        passages = (
            [context] if isinstance(context, str) else context if isinstance(context, list | tuple) else [context]
        )
        text = "\n\n".join(map(text_of, passages))
        if not text.strip():
            raise ConfigurationError(f"the context {self.context!r} is empty, so there is nothing to be faithful to")
        inputs = inputs_of(example, without=made) if self.fields is None else {}
        return text, {name: value for name, value in inputs.items() if name != self.context}, _chosen(names, found)

    def _without_claims(self) -> Opinion:
        if self.no_claims is None:
            raise JudgeError(
                f"the judge {self.__name__!r} found no claims to check; give their score with no_claims=..., "
                f"if predictions without claims are in order"
            )
        return Opinion(self.no_claims, "no claims", [], {"claims": []})

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        fields = None if self.fields is None else list(self.fields)
        return {"context": self.context, "fields": fields, "no_claims": self.no_claims, **self.options()}


def _chosen(names: Sequence[str], found: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rpartition(".")[2]: found[name.rpartition(".")[2]] for name in names}


def _opinion(checked: list[dict[str, Any]]) -> Opinion:
    unsupported = [entry for entry in checked if not entry["supported"]]
    value = 1 - len(unsupported) / len(checked)
    listed = "".join(f"\n- {entry['claim']} ({entry['why']})" for entry in unsupported)
    shown = f"not supported by the context ({len(unsupported)} of {len(checked)} claims):{listed}"
    return Opinion(
        value, shown if unsupported else f"all {len(checked)} claims are supported", value, {"claims": checked}
    )
