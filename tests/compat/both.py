"""The same replies for either library."""

import asyncio
import importlib
import itertools
import json

import pytest

from dspex_core.errors.foreign_code import foreign_code


def chat(**fields):
    """Write a reply as the chat adapters of both want it; what is no text as JSON."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in texts.items()), "[[ ## completed ## ]]"])


def scripted(dspy, replies):
    """Make an LM that gives these replies word for word: in order, or by a text that the last message contains."""
    if hasattr(dspy, "ScriptedLM"):
        return dspy.ScriptedLM(replies)

    class Scripted(dspy.BaseLM):
        def __init__(self):
            super().__init__("scripted", "chat", 0.0, 1000, cache=False)
            self.rest = iter(replies)

        def __call__(self, prompt=None, messages=None, **kwargs):
            self.sent = messages
            outputs = list(itertools.islice(self.rest, kwargs.get("n") or 1)) if isinstance(replies, list) else []
            return outputs or [next(reply for text, reply in replies.items() if text in messages[-1]["content"])]

        async def acall(self, prompt=None, messages=None, **kwargs):
            await asyncio.sleep(0)
            return self(prompt, messages, **kwargs)

    return Scripted()


def module(dspy, path):
    """Import a submodule of either library."""
    return importlib.import_module(f"{dspy.__name__}.{path}")


def dummy(dspy, answers, **options):
    """Make DSPy's own scripted LM: answers as dicts, in order."""
    return module(dspy, "utils").DummyLM(answers, **options)


def asking(dspy, answers, **settings):
    """Set a scripted LM and the chat adapter for a block."""
    return dspy.context(lm=dummy(dspy, answers), **{"adapter": dspy.ChatAdapter(), **settings})


def in_real(use, *args, **kwargs):
    """Run something in DSPy; what it and LiteLLM warn about their own code depends on their versions."""
    with foreign_code():
        return use(*args, **kwargs)


def sent_to(lm):
    """The messages of the latest call of a scripted LM."""
    return lm.sent if hasattr(lm, "sent") else [message.to_json() for message in lm.history[-1].request.messages]


def called(program, **inputs):
    return program(**inputs)


def awaited(program, **inputs):
    return asyncio.run(program.acall(**inputs))


def outputs(dspy, make, replies, call=called, **inputs):
    """Run a program on scripted replies; return the prediction as a dict."""
    with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
        return dict(call(make(dspy), **inputs).items())


def uses():
    """Make a decorator that collects pieces of users' code, and the list that it fills with named parameters."""
    found = []

    def use(function):
        found.append(pytest.param(function, id=function.__name__))
        return function

    return use, found


def refused(make, *errors):
    """Whether a user who catches these errors catches what is raised."""
    try:
        make()
    except errors:
        return True
    return False
