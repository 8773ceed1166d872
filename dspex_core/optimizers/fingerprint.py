"""What a program was compiled from, so that a later change of it shows. PYTEST_DONT_REWRITE

A fingerprint is JSON data: the source of the program, the optimizer with its parameters, the metric, the LM, and for
each dataset its size and a digest. It is the same in every process and holds no credentials.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, runtime_checkable

from dspex_core.config import current
from dspex_core.evaluation.fingerprint import lm_data as lm_of
from dspex_core.example import Example
from dspex_core.lm.base import BaseLM
from dspex_core.plain.described import described, short_digest
from dspex_core.programs.base import Module
from dspex_core.programs.saving.provenance import source_fingerprint
from dspex_core.programs.saving.source import signature_data, source_of
from dspex_core.signatures.signature import SignatureMeta

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import Metric
    from dspex_core.programs.saving.state import Declaration
    from dspex_core.signatures.signature import Signature

Json = dict[str, Any]

# How fast and where it runs, and what it shows, has no part in the result.
_ASIDE = frozenset(
    {
        *("callbacks", "display_progress", "display_table", "log_dir", "metric", "num_threads", "provide_traceback"),
        *("track_best_outputs", "track_stats", "verbose"),
    }
)
_PARTS = ("optimizer", "metric", "trainset", "valset", "lm", "student", "teacher", "seed", "options")
_LONGEST = 160


class Parameterized(Protocol):
    """What a fingerprint asks of an optimizer."""

    def get_params(self) -> Mapping[str, Any]:
        """Return the options."""


@runtime_checkable
class HasDefaults(Protocol):
    """An optimizer that says what its options are by default."""

    def default_params(self) -> Mapping[str, Any]:
        """Return the defaults of the options."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What is about to be compiled, seen before the optimizer runs."""

    optimizer: Parameterized
    student: Module
    sets: Mapping[str, Any]
    declarations: Mapping[str, Declaration]
    source: Mapping[str, Any]

    @classmethod
    def of(cls, optimizer: Parameterized, inputs: Mapping[str, Any]) -> Self | None:
        """Return the origin of what `compile` is called with; `None` if that is not a program."""
        student = inputs.get("student")
        if not isinstance(student, Module):
            return None
        sets = {name: inputs.get(name) for name in ("trainset", "valset")}
        declarations = {path: predictor.declared for path, predictor in student.every_predictor()}
        return cls(optimizer, student, sets, declarations, source_of(student))

    def note_in(self, program: Module) -> None:
        """Let the compiled program know what it was compiled from, so that its file says it."""
        sets = {name: value if isinstance(value, Sequence) else None for name, value in self.sets.items()}
        found = fingerprint_of(self.student, self.optimizer, metric=_metric_of(self.optimizer), lm=current().lm, **sets)
        program.note_origin(self.declarations, provenance({**found, "source": self.source}, self.optimizer))


def fingerprint_of(
    program: Module,
    optimizer: Parameterized,
    *,
    metric: Metric | None,
    trainset: Iterable[Example] | None,
    valset: Iterable[Example] | None,
    lm: LanguageModel | None,
) -> Json:
    """Return the fingerprint of what is compiled: `program` is as its source makes it."""
    parts = {
        "optimizer": optimizer_data(optimizer, metric),
        "metric": metric_data(metric),
        "trainset": dataset_data(trainset),
        "valset": dataset_data(valset),
        "lm": lm_data(program, lm),
    }
    return {**source_fingerprint(program), **{name: part for name, part in parts.items() if part is not None}}


def provenance(fingerprint: Mapping[str, Any], optimizer: Parameterized) -> Json:
    """Return what a file keeps of how a program was compiled, now."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"date": now, "optimizer": text_of(optimizer_data(optimizer, None)), "fingerprint": dict(fingerprint)}


def part_changes(
    then: Mapping[str, Any], now: Mapping[str, Any], *, optimizer: Parameterized | None = None
) -> list[str]:
    """Return what has changed beside the source, a text for each part: the optimizer, the metric, datasets, the LM.

    Parts that `now` does not have are not known, and not compared. Options that `then` does not have, since the
    `optimizer` had none of that name, count as at their defaults.
    """
    defaults = {} if optimizer is None else default_data(optimizer)
    known = {**then, "optimizer": _completed(then.get("optimizer"), now.get("optimizer"), defaults)}
    changed = [name for name in _PARTS if name in now and known.get(name) != now[name]]
    return [
        f"{name} ({text_of(then.get(name))} then, {_told_apart(then.get(name), now[name])} now)" for name in changed
    ]


def metric_data(metric: Any) -> Any:
    """Return a metric as JSON data, with its own options; that of a program, too, which may judge."""
    return described(metric, _special)


def optimizer_data(optimizer: Parameterized, metric: Metric | None) -> Json:
    """Return an optimizer's class and parameters; its metric only if that is not the one given."""
    params = {name: value for name, value in optimizer.get_params().items() if name not in _ASIDE}
    own = _metric_of(optimizer)
    if metric is not None and own is not None and own is not metric:
        params["metric"] = own
    return {"class": type(optimizer).__name__, **{name: param_data(value) for name, value in params.items()}}


def default_data(optimizer: Parameterized) -> Json:
    """Return the defaults of an optimizer's options as `optimizer_data` has options."""
    if not isinstance(optimizer, HasDefaults):
        return {}
    return {name: param_data(value) for name, value in optimizer.default_params().items() if name not in _ASIDE}


def _completed(then: Any, now: Any, defaults: Any) -> Any:
    """Return an optimizer's options with the new ones at their defaults; those of optimizers in it, too."""
    if not all(isinstance(each, Mapping) for each in (then, now, defaults)):
        return then
    inner = {name: _completed(value, now.get(name), defaults.get(name)) for name, value in then.items()}
    return {**{name: value for name, value in defaults.items() if name in now}, **inner}


def dataset_data(examples: Iterable[Example] | None) -> Json | None:
    """Return the size and the digest of a dataset; the order of its rows counts."""
    if examples is None:
        return None
    rows = [described(example, _special) for example in examples]
    return {"n": len(rows), "digest": short_digest(rows)}


def lm_data(program: Module, lm: LanguageModel | None) -> Json | None:
    """Return the model and the sampling parameters of the LM, and of the LMs that predictors have of their own."""
    own = {path: lm_of(predictor.lm) for path, predictor in program.every_predictor() if predictor.lm is not None}
    default = {} if lm is None else lm_of(lm)
    return {**default, **({"own": own} if own else {})} or None


def text_of(data: Any) -> str:
    """Return a part of a fingerprint in words: `KNNFewShot(k=4)`, `8 rows`."""
    match data:
        case None:
            return "none"
        case {"n": int(size), "digest": str()}:
            return f"{size} rows"
        case {"class": str(name)} | {"function": str(name)} | {"name": str(name)}:
            rest = {key: part for key, part in data.items() if key not in ("class", "function", "name", "code")}
            shown = ", ".join(f"{key}={text_of(part)}" for key, part in rest.items() if part is not None)
            return _cut(f"{name}({shown})" if "class" in data else name)
        case Mapping():
            return _cut(f"{{{', '.join(f'{key}: {text_of(part)}' for key, part in data.items())}}}")
    return _cut(repr(data))


def _metric_of(optimizer: Parameterized) -> Metric | None:
    found: Metric | None = optimizer.get_params().get("metric")
    return found


def _told_apart(then: Any, now: Any) -> str:
    text = text_of(now)
    return f"other {text}" if text == text_of(then) else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def param_data(value: Any) -> Any:
    """Return a parameter's data; of a dataset its size and digest."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, Example) for item in value):
        return dataset_data(value)
    return described(value, _special)


def _special(value: Any) -> Any:
    match value:
        case Example():
            return described(value.toDict(), _special)
        case BaseLM():
            return lm_of(value)
        case Module():
            return {"class": type(value).__name__, **source_of(value)}
        case SignatureMeta():
            return {"name": value.__name__, **signature_data(cast("type[Signature]", value))}
    return NotImplemented
