"""What a program is before anything compiled it, and whether a stored state still belongs to it. PYTEST_DONT_REWRITE

A stored state has the words of the prompt in it, so it hides later edits of the source. The file therefore keeps what
the source was like: the classes of the program's parts, and of each predictor what a state replaces.

{
  "modules": {"self": "Triage", "classify": "Predict"},
  "predictors": {"classify": {"instructions": "...", "fields": {"text": {"role": "input", "type": "str"}}}},
  "code": {"Triage": "0f3a52c6d0b1e7a4", "Triage.forward": "...", "shorten": "..."},
  "numbers": {"self": {"most": 3}}
}
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.stored import adapter_to_json
from dspex_core.errors import ArtifactError
from dspex_core.plain.described import described, short_digest
from dspex_core.plain.secrets import masked
from dspex_core.programs.saving.run_code import numbers_of, run_code
from dspex_core.programs.saving.state import SAMPLING
from dspex_core.signatures.signature import MISSING, label
from dspex_core.signatures.type_texts import TypeTexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.programs.demos.selector import DemoSelector
    from dspex_core.programs.saving.state import Declaration
    from dspex_core.programs.saving.storable import Storable
    from dspex_core.signatures.signature import Signature, SignatureField

Json = dict[str, Any]


def source_of(program: Storable) -> Json:
    """Return the source of a program; of one that a state was loaded into, as it was before."""
    code = run_code(program)
    return {
        "modules": {path: type(module).__name__ for path, module in program.coded_parts()},
        "predictors": {path: _predictor(predictor.declared) for path, predictor in program.every_predictor()},
        "code": dict(code.digests),
        "numbers": described(numbers_of(program, code)),
    }


def source_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two sources differ, as lines that begin with `-` (then) or `+` (now).

    Of code and numbers, those are compared that both have: older versions noted none, the text of code is not always
    there, and whoever uses a new function changes another.
    """
    shared = {
        name: (_common(then.get(name, {}), now.get(name, {})), _common(now.get(name, {}), then.get(name, {})))
        for name in ("code", "numbers")
    }
    old = list(source_lines({**then, **{name: parts[0] for name, parts in shared.items()}}))
    new = list(source_lines({**now, **{name: parts[1] for name, parts in shared.items()}}))
    if sys.flags.optimize > 1:  # without docstrings, instructions are not to be known
        old, new = ([line for line in lines if ": instructions: " not in line] for lines in (old, new))
    return [line for line in difflib.ndiff(old, new) if line[0] in "-+"]


def source_lines(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield a source as lines of text, each of which says where it belongs."""
    for path, kind in _mapping(source, "modules").items():
        yield f"{path}: {kind}"
    for path, predictor in _mapping(source, "predictors").items():
        yield from (f"{path}: {line}" for line in _predictor_lines(predictor))
    yield from _code_lines(source)


def _predictor_lines(predictor: Mapping[str, Any]) -> Iterator[str]:
    for line in str(predictor.get("instructions", "")).splitlines() or [""]:
        yield f"instructions: {line}"
    for name, field in _mapping(predictor, "fields").items():
        more = {key: value for key, value in field.items() if key not in ("role", "type", "desc")}
        yield f"{field.get('role')} {name}: {field.get('type')}{_words(field.get('desc'), more)}"
    for name in ("types", "config"):
        for key, value in _mapping(predictor, name).items():
            yield f"{name.removesuffix('s')} {key}: {value}"
    for name in ("demos", "demo_selector", "adapter"):
        if name in predictor:
            yield f"{name}: {predictor[name]}"


def _code_lines(source: Mapping[str, Any]) -> Iterator[str]:
    for path in _mapping(source, "numbers"):
        for name, value in _mapping(source["numbers"], path).items():
            yield f"{path}: {name} = {value}"
    for name, digest in _mapping(source, "code").items():
        yield f"code of {name}: {digest}"


def _common(one: Any, other: Any) -> Any:
    """Return what of data has a name in the other, too."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return one
    return {name: _common(value, other[name]) for name, value in one.items() if name in other}


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}


def _words(desc: str | None, more: Mapping[str, Any]) -> str:
    said = f' "{desc}"' if desc else ""
    return said + "".join(f", {key} {value}" for key, value in more.items())


def _predictor(predictor: Declaration) -> Json:
    config = {name: value for name, value in predictor.config.items() if name in SAMPLING}
    optional = {
        "config": described(config),
        "demos": _demos(predictor.demos, predictor.signature),
        "demo_selector": _selector(predictor.demo_selector) if predictor.demo_selector else None,
        "adapter": _adapter(predictor.adapter),
    }
    return {**signature_data(predictor.signature), **{name: value for name, value in optional.items() if value}}


def _adapter(adapter: Adapter | None) -> Any:
    return None if adapter is None else adapter_to_json(adapter) or {"class": type(adapter).__name__}


def _selector(selector: DemoSelector) -> Any:
    try:
        return described(selector.to_json())
    except ArtifactError:  # a function chooses: the program can be compiled, though not saved
        return {"class": type(selector).__name__}


def signature_data(signature: type[Signature]) -> Json:
    """Return the instructions of a signature, its fields, and the definitions of the classes in their types."""
    texts = TypeTexts()
    fields = {name: _field(field, texts) for name, field in signature.fields.items()}
    types = {name: masked(text) for name, text in texts.definitions.items()}
    words = {"instructions": masked(signature.instructions), "fields": fields}
    return {**words, **({"types": types} if types else {})}


def _field(field: SignatureField, texts: TypeTexts) -> Json:
    optional = {
        "desc": masked(field.desc),
        "prefix": masked(field.prefix) if field.prefix != label(field.name) else "",
        "constraints": described(dict(field.constraints)),
        "choices": described(field.choices),
        "default_factory": described(field.default_factory) if field.default_factory else None,
    }
    kept = {name: value for name, value in optional.items() if value}
    if field.default is not MISSING:
        kept["default"] = described(field.default)
    return {"role": "input" if field.is_input else "output", "type": masked(texts.of(field.annotation)), **kept}


def _demos(demos: Sequence[Mapping[str, Any]], signature: type[Signature]) -> str:
    if not demos:
        return ""
    shown = [{name: demo[name] for name in signature.fields if name in demo} for demo in demos]
    return f"{len(demos)} ({short_digest(described(shown))})"
