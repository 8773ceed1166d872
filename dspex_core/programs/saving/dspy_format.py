"""DSPy's state files, read and written. PYTEST_DONT_REWRITE

    {
      "predict": {
        "traces": [], "train": [], "demos": [{...}],
        "signature": {"instructions": "...", "fields": [{"prefix": "Question:", "description": "${question}"}]},
        "lm": null
      },
      "metadata": {"dependency_versions": {...}}
    }

DSPy keeps fields by position, so each is checked by its prefix. The LM of such a file is never
loaded, and none is written: an endpoint in a file would get to see every prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError, SignatureError
from dspex_core.programs.demos.stored import plain_demo
from dspex_core.signatures.signature import label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core.programs.saving.state import Parameter
    from dspex_core.signatures.signature import Signature, SignatureField

_log = logging.getLogger("dspex")


def is_dspy_state(stored: Any) -> bool:
    """Whether the content of a JSON file is the state of a DSPy program."""
    match stored:
        case {"metadata": {"dependency_versions": Mapping()}}:
            return True
    return False


def predictor_states(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the states of the predictors by their paths, which are the same in DSPy; of a `Predict` its own state.

    LMs that they name are left aside, and the log names them: which LM answers is the program's own choice.
    """
    states = {path: state for path, state in stored.items() if path != "metadata"}
    for path, state in states.items():
        lm = state if path == "lm" else state.get("lm") if isinstance(state, Mapping) else None
        if isinstance(lm, Mapping):
            _log.warning("the state names the LM %r (%s), which is not used: set one yourself", lm.get("model"), path)
    return states


def signature_state(signature: type[Signature], stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a signature's state by field name; a state of ours is returned unchanged.

    Raises:
        SignatureError: The fields are not those of the signature, in its order; it lists each difference.
    """
    entries = stored.get("fields")
    if not isinstance(entries, list):
        return stored
    fields = list(signature.fields.values())
    if len(entries) != len(fields):
        raise SignatureError(f"the state has {len(entries)} fields, {signature!r} has {len(fields)}")
    problems, words = [], {}
    for position, (field, entry) in enumerate(zip(fields, entries, strict=True), start=1):
        match entry:
            case {"prefix": str(prefix), "description": str(desc)}:
                # COPRO rewrites the prefix of the last output, and no other.
                if not _is_of(field, prefix, desc, may_differ=position == len(fields)):
                    problems.append(
                        f"field {position} is {field.name!r}, but the state has {prefix!r} ({desc!r}) there"
                    )
                words[field.name] = {"prefix": prefix, **({} if desc == _unsaid(field) else {"desc": desc})}
            case _:
                problems.append(f"field {position} of the state is damaged: {entry!r}")
    if problems:
        raise SignatureError(f"the state does not fit {signature!r}: {'; '.join(problems)}")
    kept = {name: {"desc": field.desc, "prefix": field.prefix} for name, field in signature.fields.items()}
    return {**stored, "fields": {name: {**kept[name], **words[name]} for name in kept}}


def dump_dspy_state(program: str, predictors: Iterable[tuple[str, Parameter]]) -> dict[str, Any]:
    """Return a program's state in DSPy's form.

    Args:
        program: What an error calls it.
        predictors: Its predictors with their paths.

    Raises:
        ArtifactError: DSPy has no place for a part of it; `problems` lists each.
    """
    states, problems = {}, []
    for path, predictor in predictors:
        if path == "metadata":
            problems.append("a predictor cannot be named 'metadata' in DSPy's files")
        if predictor.demo_selector is not None:
            problems.append(f"{path}: DSPy cannot choose demos by {predictor.demo_selector!r}")
        if predictor.adapter is not None:
            problems.append(f"{path}: DSPy keeps no adapter of a predictor: {predictor.adapter!r}")
        ordered = [name for name, field in predictor.signature.fields.items() if field.choices]
        if ordered:
            problems.append(f"{path}: DSPy keeps no order of choices: of {', '.join(ordered)}")
        own = predictor.dump_state()
        states[path] = {
            "traces": [],
            "train": [],
            "demos": [plain_demo(demo) for demo in predictor.demos],
            "signature": _dumped(predictor.signature),
            "lm": None,
            **({"config": own["config"]} if own["config"] else {}),  # DSPy's load sets it; its save forgets it
        }
    if problems:
        raise ArtifactError(f"the state of this {program} cannot be DSPy's", problems=problems)
    states = states.get("self", states)  # a program that is itself a predictor
    return {**states, "metadata": {"dependency_versions": {}}}  # DSPy warns of each version here that is not its own


def _is_of(field: SignatureField, prefix: str, desc: str, *, may_differ: bool) -> bool:
    if desc.startswith("${") and desc.endswith("}") and desc != field.desc:
        return desc == _unsaid(field)  # what DSPy says of a field that nobody described: it holds the name
    return may_differ or prefix == field.prefix or prefix.startswith(label(field.name))


def _unsaid(field: SignatureField) -> str:
    return f"${{{field.name}}}"


def _dumped(signature: type[Signature]) -> dict[str, Any]:
    fields = [
        {"prefix": field.prefix, "description": field.desc or _unsaid(field)} for field in signature.fields.values()
    ]
    return {"instructions": signature.instructions, "fields": fields}
