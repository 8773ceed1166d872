"""User code with replies for it, run with a library that is given; as a script, under the alias: prints the outputs."""

import importlib
import json
import sys

import tutorials
import user_code
from both import awaited, called, chat, outputs

REPLY = chat(reasoning="r", reply="We look for it.")
PEOPLE = chat(people=[{"name": "Anna", "age": 30, "addresses": []}], by_city={"Graz": 1})
INTENT = chat(intent="delivery", confidence=0.9)
HOPS = [
    chat(reasoning="First.", query="foxes dens"),
    chat(reasoning="Good.", new_notes=["Foxes dig."], titles=["Fox"]),
    chat(reasoning="Then.", query="badgers setts"),
    chat(reasoning="Good.", new_notes=["Badgers share."], titles=["Badger", "Fox"]),
]
ACTS = [
    chat(next_thought="t", next_tool_name="search_pages", next_tool_args={"query": "rivers"}),
    chat(next_thought="t", next_tool_name="finish", next_tool_args={}),
    chat(reasoning="r", titles=["otter"]),
]
CALLS = [
    chat(next_thought="t", tool_calls={"tool_calls": [{"name": "search_pages", "args": {"query": "rivers"}}]}),
    chat(next_thought="t", tool_calls={"tool_calls": [{"name": "submit", "args": {"titles": ["otter"]}}]}),
]
CODE = [
    chat(reasoning="Wrong.", generated_code="```python\nsix * seven\n```"),
    chat(reasoning="Right.", generated_code="```python\n6 * 7\n```"),
    chat(reasoning="r", answer="42"),
]
CASES = {
    "classifier": (user_code.classifier, [INTENT], called, {"message": "Where is it?"}),
    "careful_classifier": (
        user_code.careful_classifier,
        [chat(reasoning="r", urgent=True, tags=["a", "b"])],
        called,
        {"message": "Where is it?"},
    ),
    "extractor": (user_code.extractor, [PEOPLE], called, {"text": "Anna, 30"}),
    "with_demos": (user_code.with_demos, [INTENT, REPLY, PEOPLE], called, {"message": "Where is it?"}),
    "rag": (tutorials.rag, [chat(reasoning="r", response="Otters do.")], called, {"question": "Who dives for fish?"}),
    "hop": (tutorials.hop, HOPS, called, {"claim": "x"}),
    "async_hop": (tutorials.async_hop, HOPS[:2], awaited, {"claim": "x"}),
    "agent": (tutorials.sync_agent, ACTS, called, {"claim": "x"}),
    "calling_agent": (user_code.titles_by_calls, CALLS, called, {"claim": "x"}),
    "program_of_thought": (user_code.computed, CODE, called, {"question": "6 * 7?"}),
}


def plain(value):
    """Return outputs as JSON data."""
    return json.loads(json.dumps(value, default=lambda model: model.model_dump(), sort_keys=True))


def run(dspy, name, make=None):
    """Return what a case answers when it is made with a library, or by `make`."""
    written, replies, call, inputs = CASES[name]
    return plain(outputs(dspy, make or written, replies, call, **inputs))


if __name__ == "__main__":
    from dspex_core.interop import alias_dspy

    alias_dspy()
    library = importlib.import_module("dspy")
    json.dump({name: run(library, name) for name in CASES}, sys.stdout)
