"""Examples, predictions, inputs and errors of DSPy as ours, and ours as DSPy's. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core import errors
from dspex_core.example import Example, Prediction, Record
from dspex_core.interop.dspy_bridge.library import library

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = ("History", "Image", "Audio", "File")


def adopted_example(theirs: Any) -> Example:
    """Return an example of DSPy as one of ours, with the same inputs."""
    ours = Example(dict(theirs.items(include_dspy=True)))
    try:
        inputs = theirs.inputs().keys()
    except ValueError:  # none are named
        return ours
    return ours.with_inputs(*inputs)


def dspy_example(ours: Any) -> Any:
    """Return an example of ours as one of DSPy's, with the same inputs; one of DSPy's as it is."""
    if not isinstance(ours, Example):
        return ours
    theirs = library().Example(dict(ours.items(include_dspy=True)))
    return theirs.with_inputs(*sorted(ours.input_keys)) if ours.input_keys else theirs


def our_prediction(theirs: Any) -> Any:
    """Return a prediction of DSPy as one of ours; any other value as it is."""
    if not isinstance(theirs, library().Prediction):
        return theirs
    completions = theirs.completions
    if completions is not None and len(completions) > 1:
        columns, count = dict(completions.items()), len(completions)
        ours = Prediction.from_completions([{name: columns[name][n] for name in columns} for n in range(count)])
    else:
        ours = Prediction()
    for name, value in theirs.items(include_dspy=True):
        ours[name] = value
    usage = theirs.get_lm_usage()
    if usage:
        ours.set_lm_usage(usage)
    return ours


def dspy_prediction(ours: Any) -> Any:
    """Return a prediction of ours as one of DSPy's; any other value as it is."""
    return library().Prediction(**dict(ours.items(include_dspy=True))) if isinstance(ours, Prediction) else ours


def dspy_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs in which images, conversations and the like of ours are DSPy's."""
    return {name: _dspy_value(value) for name, value in inputs.items()}


def our_error(error: Exception) -> Exception:
    """Return an error of DSPy as ours: the one of ours that it stands for, or one of the same name and message."""
    dspy = library()
    if isinstance(error.__cause__, errors.DSPexError):
        return error.__cause__
    if isinstance(error, dspy.utils.exceptions.AdapterParseError):
        from dspex_core.interop.dspy_bridge.signatures import our_signature

        read = error.parsed_result if isinstance(error.parsed_result, dict) else None
        signature = our_signature(error.signature)
        missing = [name for name in signature.output_fields if name not in (read or {})]
        name, reply = error.adapter_name, str(error.lm_response)
        return errors.AdapterParseError(name, signature, reply, parsed_result=read, missing=missing)
    return error


def dspy_error(error: errors.LMError) -> Exception:
    """Return a failed call of our LM as DSPy's error of the same name, as which programs and adapters know it."""
    named: dict[str, Any] = vars(library().utils.exceptions)
    kind: Any = next((named[base.__name__] for base in type(error).__mro__ if base.__name__ in named), RuntimeError)
    made: Exception = kind(message=str(error))
    return made


def _dspy_value(value: Any) -> Any:
    if isinstance(value, Record | str | int | float | None):
        return value
    kind = type(value)
    if kind.__module__.startswith("dspex_core.types") and kind.__name__ in _TYPES:
        theirs = vars(library())[kind.__name__]
        return theirs(**value.model_dump())
    return [_dspy_value(item) for item in value] if type(value) is list else value
