"""Hides credentials in what is recorded, and in what is looked up, in the same way. PYTEST_DONT_REWRITE

Hidden are the keys that the environment and LM clients hold, wherever they stand; texts of an unmistakable form; and
what the ini key `dspex_redact` and plugins name. A request is found by a hash of its masked form, so a recording
replays whatever the keys of the machine are.
"""

from __future__ import annotations

import dataclasses
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core import Message
from dspex_core.plugin_api import HIDDEN, environment_secrets, is_secret, masked, secret_forms
from pytest_dspex.cassettes.redact import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dspex_core import LMRequest, LMResponse
    from dspex_core.plugin_api import Json

_SHORTEST = 8  # characters of a secret; a shorter text may occur anywhere by chance
_NO_PLAIN_WORD = 16  # characters; a shorter password may be a word, such as `postgres`, that stands in a prompt, too
_KEPT_TEXTS = 4096
_DATA = "data:"  # an image, a sound or a file in a message
_VECTOR = "embedding"


class Mask:
    """Hides what is secret in a session; threads may share it.

    Args:
        redact: Returns a text without what else is secret: by the ini key `dspex_redact`, and by plugins.
    """

    def __init__(self, redact: Callable[[str], str] | None = None) -> None:
        self.redact = redact
        self._lock = threading.Lock()
        self._known: tuple[str, ...] = ()
        self._found: frozenset[str] = frozenset()
        self.text = lru_cache(_KEPT_TEXTS)(self._masked)  # the same prompts come with each call
        self.add_environment()

    def add_environment(self) -> bool:
        """Hide the keys that the environment holds now, too; return whether there are new ones."""
        return self.add(environment_secrets())

    def add(self, secrets: Iterable[str]) -> bool:
        """Hide more secrets; return whether there are new ones."""
        new = {stripped for secret in secrets if _is_telling(stripped := secret.strip())} - self._found
        if not new:
            return False
        with self._lock:
            self._found |= new
            forms = {form for secret in self._found for form in secret_forms(secret)}
            self._known = tuple(sorted(forms, key=lambda form: (-len(form), form)))
            self.text = lru_cache(_KEPT_TEXTS)(self._masked)
        return True

    def known(self) -> frozenset[str]:
        """Return the secrets that are hidden wherever they stand."""
        return self._found

    def value(self, value: Any) -> Any:
        """Return JSON data with its texts masked; vectors stay as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {
                self.text(name) if isinstance(name, str) else name: inner if name == _VECTOR else self.value(inner)
                for name, inner in value.items()
            }
        return value

    def request(self, request: LMRequest) -> LMRequest:
        """Return a request with its messages and parameters masked."""
        if request.options:
            self.add(_secret_texts(request.options))
        config = self.value(without_secrets(request.config))
        turns = [self._turn(turn) for turn in request.messages]
        if all(turn is before for turn, before in zip(turns, request.messages, strict=True)):
            # keeps the digests of shared messages
            return request if config == request.config else dataclasses.replace(request, config=config)
        return dataclasses.replace(request, config=config, messages=tuple(turns))

    def response(self, request: LMRequest, response: LMResponse) -> Json:
        """Return the stored form of a response, masked; a vector stays as it is."""
        stored = response.to_json()
        return stored if request.kind == _VECTOR else self.value(stored)

    def _turn(self, turn: Message) -> Message:
        content = turn.content
        if isinstance(content, str) and not turn.tool_calls and not turn.rest:
            text = self.text(content)
            return turn if text == content else dataclasses.replace(turn, content=text)
        stored = turn.to_json()
        clean = self.value(stored)
        return turn if clean == stored else Message.from_json(clean)

    def _masked(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        if text.startswith(_DATA):
            return text
        return masked(text if self.redact is None else self.redact(text))


def _is_telling(secret: str) -> bool:
    is_word = secret.isalpha() and (secret.islower() or secret.isupper() or secret.istitle())
    return len(secret) >= (_NO_PLAIN_WORD if is_word else _SHORTEST)


def _secret_texts(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the credentials in the connection options of an LM or a call."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secret_texts(value)
        elif isinstance(value, str) and is_secret(str(name)):
            yield value
            yield value.rpartition(" ")[2]  # without `Bearer`
