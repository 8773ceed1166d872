"""What the LM is shown of a program, so that no two candidates with the same prompts are scored. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError
from dspex_core.messages.canonical import canonical_json
from dspex_core.plain.described import described
from dspex_core.programs.demos.stored import plain_demo
from dspex_core.programs.predict import adapter_of

if TYPE_CHECKING:
    from dspex_core.programs.base import Module, Predictor
    from dspex_core.programs.demos.selector import DemoSelector

_ROOT = __name__.partition(".")[0]


def prompts_of(program: Module) -> str:
    """Return what the prompts of a program's predictors are before any input.

    Of two copies of one program, it is equal if and only if their prompts are.
    """
    shown = {path: _prompt_of(predictor) for path, predictor in program.named_predictors()}
    return canonical_json(shown)


def _prompt_of(predictor: Predictor) -> dict[str, Any]:
    signature = predictor.signature
    words = signature.dump_state()
    if not shows_prefixes(predictor):
        words["fields"] = {name: {**field, "prefix": ""} for name, field in words["fields"].items()}
    return {
        "words": words,
        "demos": [plain_demo(demo) for demo in predictor.demos],
        "selector": None if predictor.demo_selector is None else _selector(predictor.demo_selector),
        "config": described(predictor.config),
        "adapter": repr(adapter_of(predictor)),
    }


def _selector(selector: DemoSelector) -> Any:
    try:
        return selector.to_json()
    except ArtifactError:  # its embedder is a function: copies of a program share it
        return repr(selector)


def shows_prefixes(predictor: Predictor) -> bool:
    """Whether a prompt may show the prefixes of fields: not by an adapter of ours."""
    adapter = adapter_of(predictor)
    ours = type(adapter).__module__.partition(".")[0] == _ROOT
    return not ours or adapter.asks_itself or adapter.writes_itself
