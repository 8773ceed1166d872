"""LMs that answer from a script: for tests, without a network. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from dspex_core.errors import ScriptExhaustedError
from dspex_core.lm.base import BaseLM
from dspex_core.messages import LMOutput, LMRequest, LMResponse, Usage

Reply = str | Mapping[str, Any] | BaseException
Script = Iterable[Reply] | Mapping[str, Reply] | Callable[[LMRequest], Reply]


class ScriptedLM(BaseLM):
    """An LM that answers from a script.

    Args:
        script: One of
            - replies in the order of the calls;
            - a mapping from a text to the reply for calls whose last message contains it
              (the first that fits, in the mapping's order);
            - a function from the `LMRequest` to the reply.
        adapter: The format in which replies given as fields are written.
        model: The name under which it appears in history and cassettes.

    A reply is the text itself, or a mapping of output fields (written in the format that the
    request asks for), or an exception to raise. Threads may share it.

    Raises:
        ScriptExhaustedError: At a call that the script has no reply for.
    """

    recordable = False

    def __init__(self, script: Script, *, adapter: Literal["chat", "json"] = "chat", model: str = "scripted") -> None:
        super().__init__(model)
        self.preferred_adapter = adapter
        self._lock = threading.Lock()
        self._calls = 0
        self._reply = (
            self._by_order(script)
            if not callable(script) and not isinstance(script, Mapping)
            else (script if callable(script) else self._by_content(script))
        )

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer with the script's next reply; token counts are words."""
        with self._lock:
            replies = [self._reply(request) for _ in range(request.config.get("n", 1))]
            self._calls += 1
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        texts = [_text(reply, request) for reply in replies if not isinstance(reply, BaseException)]
        return LMResponse(
            outputs=tuple(LMOutput(text, finish_reason="stop") for text in texts),
            model=self.model,
            usage=Usage(
                sum(len(message.text.split()) for message in request.messages),
                sum(len(text.split()) for text in texts),
            ),
        )

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """Answer at once."""
        return self.complete(request)

    def _by_order(self, replies: Iterable[Reply]) -> Callable[[LMRequest], Reply]:
        rest = iter(tuple(replies))

        def reply(request: LMRequest) -> Reply:
            for found in rest:
                return found
            message = (
                f"the script is exhausted after {self._calls} calls; the next request ended with: "
                f"{request.messages[-1].text!r}"
            )
            raise ScriptExhaustedError(message, calls=self._calls)

        return reply

    def _by_content(self, replies: Mapping[str, Reply]) -> Callable[[LMRequest], Reply]:
        def reply(request: LMRequest) -> Reply:
            asked = request.messages[-1].text
            for text, found in replies.items():
                if text in asked:
                    return found
            message = f"the script has no reply for {asked!r}; it answers: {', '.join(map(repr, replies))}"
            raise ScriptExhaustedError(message, calls=self._calls)

        return reply


class DummyLM(ScriptedLM):
    """`ScriptedLM` under DSPy's name and arguments: replies are mappings of output fields."""

    def __init__(self, answers: list[dict[str, Any]] | dict[str, dict[str, Any]]) -> None:
        super().__init__(answers, model="dummy")


def _text(reply: str | Mapping[str, Any], request: LMRequest) -> str:
    if isinstance(reply, str):
        return reply
    if request.response_schema is not None:
        return json.dumps(dict(reply), default=str)
    fields = [f"[[ ## {name} ## ]]\n{_value(value)}" for name, value in reply.items()]
    return "\n\n".join([*fields, "[[ ## completed ## ]]"])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
