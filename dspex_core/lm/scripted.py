"""LMs that answer from a script: for tests, without a network. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dspex_core.errors import ConfigurationError, ScriptExhaustedError
from dspex_core.example import Record
from dspex_core.lm.base import BaseLM
from dspex_core.messages import LMChunk, LMOutput, LMRequest, LMResponse, Usage
from dspex_core.plain.display import unwritten_text, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.messages import Message

Reply = str | Mapping[str, Any] | Record | LMOutput | BaseException
Script = Iterable[Reply] | Mapping[str, Reply] | Callable[[LMRequest], Reply]


_WORDS = re.compile(r"\s*\S+|\s+")  # with the surrounding white space, so that nothing is lost


class OutputWriter(Protocol):
    """The part of an adapter that writes outputs without a signature."""

    def written(self, outputs: Mapping[str, Any]) -> str:
        """Return the reply with these outputs."""


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
        supports_function_calling: Whether requests may hold functions to call.

    A reply is the text itself, or a mapping of output fields (written in the format that the
    request asks for), or an `LMOutput`, which may ask for function calls, or an exception to raise.
    A streamed reply is emitted word by word. Threads may share it.

    Raises:
        ScriptExhaustedError: At a call for which the script has no reply.
    """

    recordable = False

    def __init__(
        self,
        script: Script,
        *,
        adapter: Literal["chat", "json"] = "chat",
        model: str = "scripted",
        supports_function_calling: bool = False,
    ) -> None:
        super().__init__(model)
        if not callable(script) and (isinstance(script, str | bytes) or not isinstance(script, Iterable)):
            raise ConfigurationError(
                "the script of a ScriptedLM is a list of replies, a mapping from texts to them, or a function of the "
                f"request, not {value_text(script, 200)}"
            )
        self._function_calling = supports_function_calling
        self.preferred_adapter: Literal["chat", "json"] = adapter
        self._lock = threading.Lock()
        self._calls = 0
        self._in_order = not callable(script) and not isinstance(script, Mapping)
        self._reply = (
            self._by_order(script)
            if not callable(script) and not isinstance(script, Mapping)
            else (script if callable(script) else self._by_content(script))
        )

    def __getstate__(self) -> dict[str, Any]:
        if self._in_order:
            raise TypeError("processes cannot share replies in order; give ScriptedLM a mapping or a function")
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def supports_function_calling(self) -> bool:
        """Whether requests may hold functions to call: as its argument says."""
        return self._function_calling

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer with the script's next reply; token counts are words."""
        with self._lock:
            replies = [self._reply(request) for _ in range(request.config.get("n", 1))]
            self._calls += 1
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        outputs = tuple(_output(reply, request) for reply in replies if not isinstance(reply, BaseException))
        if request.on_chunk is not None:
            _emit(outputs, request.on_chunk)
        return LMResponse(
            outputs,
            model=self.model,
            usage=Usage(
                sum([len(message.text.split()) for message in request.messages]),
                sum([len(output.text.split()) for output in outputs]),
            ),
        )

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """Answer at once; after a streamed reply, yield to the tasks that read it."""
        response = self.complete(request)
        if request.on_chunk is not None:
            await asyncio.sleep(0)
        return response

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
    """`ScriptedLM` under DSPy's name and arguments.

    Args:
        answers: The outputs of each call in order, as mappings; or a mapping from a text in the last message to them.
        follow_examples: Whether a call whose last message equals that of a demo in its prompt gets the demo's answer.
            This uses up no answer.
        reasoning: Whether replies have a separate reasoning.
        adapter: The adapter in whose format replies are written, whatever the request asks for.
    """

    def __init__(
        self,
        answers: list[dict[str, Any]] | dict[str, dict[str, Any]],
        follow_examples: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        reasoning: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        adapter: OutputWriter | None = None,
    ) -> None:
        super().__init__(answers, model="dummy")
        self._scripted, self._reply = self._reply, self._answer
        self._follows, self._reasons, self._writer = follow_examples, reasoning, adapter

    def _answer(self, request: LMRequest) -> Reply:
        answer = (_demo(request.messages) if self._follows else None) or self._scripted(request)
        if isinstance(answer, Mapping) and self._writer is not None:
            answer = self._writer.written(answer)
        if not self._reasons or isinstance(answer, BaseException):
            return answer
        return replace(_output(answer, request), reasoning="A scripted reasoning.")

    def get_convo(self, index: int) -> tuple[Any, list[Any]]:
        """Return the messages and the outputs of a call, by its place in the history."""
        entry = self.history[index]
        return entry["messages"], entry["outputs"]


def _demo(messages: Sequence[Message]) -> str | None:
    """Return the reply to an earlier message that is a prefix of the last one."""
    *earlier, last = messages
    for asked, answered in pairwise(earlier):
        if (asked.role, answered.role) == ("user", "assistant") and last.text.startswith(asked.text):
            return answered.text
    return None


def _output(reply: str | Mapping[str, Any] | Record | LMOutput, request: LMRequest) -> LMOutput:
    if isinstance(reply, Record):  # an example or a prediction
        reply = dict(reply.items())
    if not isinstance(reply, str | Mapping | LMOutput):
        raise ConfigurationError(
            "a reply of a ScriptedLM is a text, a mapping of outputs, an LMOutput or an exception, not "
            f"{value_text(reply, 200)}"
        )
    return reply if isinstance(reply, LMOutput) else LMOutput(_text(reply, request), finish_reason="stop")


def _emit(outputs: Iterable[LMOutput], on_chunk: Callable[[LMChunk], None]) -> None:
    for number, output in enumerate(outputs):
        for word in _WORDS.findall(output.reasoning or ""):
            on_chunk(LMChunk("", word, number))
        for word in _WORDS.findall(output.text):
            on_chunk(LMChunk(word, "", number))


def _text(reply: str | Mapping[str, Any], request: LMRequest) -> str:
    if isinstance(reply, str):
        return reply
    if request.response_schema is not None:
        return _json(dict(reply))
    fields = [f"[[ ## {name} ## ]]\n{_value(value)}" for name, value in reply.items()]
    return "\n\n".join([*fields, "[[ ## completed ## ]]"])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"a scripted reply cannot be written: {unwritten_text(error)}") from error
