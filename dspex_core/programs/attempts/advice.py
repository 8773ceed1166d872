"""Advice for a program's next attempt, from what it did and how that was scored. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
import json
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.example import Record
from dspex_core.plain.data import to_json
from dspex_core.plain.prompt_values import PromptValue
from dspex_core.programs.base import Module, running
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.config.contracts import LanguageModel, Trace
    from dspex_core.flow.steps import Flow
    from dspex_core.programs.base import Predictor

HINT = "hint_"


class OfferFeedback(Signature):
    """A program of several steps was run, and its result was scored below the target.

    Find the steps that are at fault, and tell each what to do differently when it gets these
    inputs, or similar ones, again. A step sees its own inputs and your advice, and nothing of
    this run: so be concrete, and name what it did wrong. Leave out the steps that did well.
    """

    program_code: str = InputField(desc="how the program puts its steps together")
    steps: str = InputField(desc="the task, inputs and outputs of each step, as JSON")
    program_inputs: str = InputField(desc="what the program was given, as JSON")
    program_trajectory: str = InputField(desc="what each step was given and returned, in order, as JSON")
    program_outputs: str = InputField(desc="what the program returned, as JSON")
    reward_code: str = InputField(desc="how the score is computed")
    target_threshold: float | None = InputField(desc="the score to reach; if there is none, the higher the better")
    reward_value: float = InputField(desc="the score of this run")
    step_names: list[str] = InputField(desc="the names to give advice by")
    discussion: str = OutputField(desc="which steps are at fault, and why")
    advice: dict[str, str] = OutputField(desc="advice by the name of the step")


def offer_advice(
    module: Module,
    reward_fn: Callable[..., Any],
    *,
    inputs: Mapping[str, Any],
    outputs: Any,
    trace: Trace,
    reward: float,
    threshold: float | None,
) -> Flow[dict[str, str]]:
    """Ask an LM for advice on each predictor of a module, by its path.

    The LM is that of the settings; without one, that of the module's first predictor.
    """
    predictors = dict(module.every_predictor())
    names = {id(predictor): name for name, predictor in predictors.items()}
    trajectory = [
        {"step": names.get(id(predictor), "(made by the program)"), "inputs": given, "outputs": found}
        for predictor, given, found in trace
    ]
    asked = {
        "program_code": source_of(module),
        "steps": _readable([_description(name, predictor) for name, predictor in predictors.items()]),
        "program_inputs": _readable(inputs),
        "program_trajectory": _readable(trajectory),
        "program_outputs": _readable(outputs),
        "reward_code": source_of(reward_fn),
        "target_threshold": threshold,
        "reward_value": reward,
        "step_names": list(predictors),
    }
    lm = current().lm or _first_lm(predictors.values())
    with context(trace=None):  # advice is not a step of the program
        feedback = yield from running(Predict(OfferFeedback), lm=lm, **asked)
    return {name: text for name, text in feedback.advice.items() if name in predictors and text.strip()}


def give(predictor: Predictor, advice: str) -> None:
    """Let a predictor's prompts show the advice: as an input that has this value wherever it is called."""
    hint = InputField(desc="advice from an earlier attempt", default=advice)
    predictor.signature = predictor.signature.delete(HINT).append(HINT, hint, str)


def source_of(thing: Any) -> str:
    """Return the source of a function or of an object's class; of dspex's own classes, what they are for.

    It is the same in every process, as it is part of a prompt.
    """
    if isinstance(thing, functools.partial):
        return source_of(thing.func)
    if inspect.ismethod(thing) and thing.__name__ == "__call__":
        return source_of(thing.__self__)
    code = thing if inspect.isroutine(thing) else type(thing)
    name = repr(thing) if isinstance(thing, Module) else code.__qualname__
    if code.__module__.startswith("dspex_core."):
        return f"{name}\n{inspect.getdoc(code)}"
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):  # typed into an interpreter, or written in C
        return name


def _first_lm(predictors: Any) -> LanguageModel | None:
    return next((predictor.lm for predictor in predictors if predictor.lm is not None), None)


def _description(name: str, predictor: Predictor) -> dict[str, Any]:
    signature = predictor.signature

    def fields(group: Mapping[str, Any]) -> dict[str, str]:
        return {key: f"{field.type_text()}: {field.desc}" for key, field in group.items() if key != HINT}

    return {
        "step": name,
        "task": signature.instructions,
        "inputs": fields(signature.input_fields),
        "outputs": fields(signature.output_fields),
    }


def _readable(value: Any) -> str:
    return json.dumps(_plain(value), indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Turn a value into JSON data; an image and the like is only named."""
    if isinstance(value, PromptValue) and not value.is_text:
        return f"<{type(value).__name__}>"
    if isinstance(value, dict | Record):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return to_json(value)
