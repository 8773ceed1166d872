"""HTTP requests and replies as cassettes keep them: without credentials, in one canonical form. PYTEST_DONT_REWRITE

Two requests are equal if their method, their URL without credentials and their body are; a JSON body is compared as
JSON. A port that the system has chosen for a server of this machine is another one in each session, and is left out. Of
the headers of a request nothing is kept, of those of a reply the few that clients read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from dspex_core.plugin_api import HIDDEN, is_loopback, is_secret, masked
from pytest_dspex.cassettes.redact import is_secret as names_account

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.masking import Mask

_PORTS = {"http": 80, "https": 443}
_FIRST_CHOSEN_PORT = 32_768  # from here on, systems choose the ports of servers that ask for any
_SHORTEST_SECRET = 8  # characters; a shorter one may well stand in a prompt
_SECRET_IN_QUERY = frozenset({"key", "sig", "signature", "token", "code", "state"})
_KEPT_HEADERS = frozenset({"content-type", "location", "retry-after", "retry-after-ms", "x-should-retry"})
_KEPT_PREFIXES = ("x-amzn-bedrock-", "x-amzn-errortype")
# Replies of a moment: the next try may get another one. As with an LM's calls, a failed call is not recorded.
_PASSING = frozenset({401, 402, 403, 407, 408, 409, 425, 429})
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request as a cassette keeps it.

    Args:
        method: In capitals.
        url: Without credentials and without a port that the system chose; the parameters of its query are sorted.
        body: JSON data where the body is JSON, else its text, or a digest of bytes; `None` without a body.
        secrets: The credentials that the request carries, which a reply may quote.
    """

    method: str
    url: str
    body: Any = None
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def model(self) -> str:
        """The model that the body names, else the server and the path."""
        named = self.body.get("model") if isinstance(self.body, dict) else None
        return named if isinstance(named, str) and named else self.url.partition("?")[0]

    def key(self, case: str, number: int | None = None) -> str:
        """Return the key of the request; in cassettes of earlier versions it held `number`, of its equals before it."""
        parts = ["http", self.method, self.url, self.body, case, *([] if number is None else [number])]
        return hashlib.sha256(
            json.dumps(parts, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
        ).hexdigest()

    def masked(self, mask: Mask) -> HTTPRequest:
        """Return the request without what a session hides."""
        return replace(self, url=mask.text(self.url), body=mask.value(self.body))

    def to_json(self) -> Json:
        """Return the stored form."""
        stored = {"method": self.method, "url": self.url}
        return stored if self.body is None else {**stored, "body": self.body}


@dataclass(frozen=True, slots=True)
class HTTPReply:
    """A whole reply; a stream is kept as the text of all its events.

    Args:
        status: The status code.
        headers: The names and values of the headers that are kept.
        body: Its bytes, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_kept(self) -> bool:
        """Whether the reply is recorded; a failure that may pass is not, nor is a refused key."""
        return self.status < _SERVER_ERROR and self.status not in _PASSING

    def to_json(self) -> Json:
        """Return the stored form."""
        stored: Json = {"status": self.status, "headers": dict(self.headers)}
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return {**stored, "base64": base64.b64encode(self.body).decode()}
        found = json_or_none(text) if text[:1] in ("{", "[") else None
        return {**stored, "text": text} if found is None else {**stored, "body": found}

    @classmethod
    def from_json(cls, stored: Json) -> HTTPReply:
        """Return the reply of a stored form.

        Raises:
            KeyError, TypeError, ValueError: The form was edited by hand, and cannot be read.
        """
        if "body" in stored:
            body = json.dumps(stored["body"], ensure_ascii=False).encode(errors="surrogatepass")
        else:
            body = stored["text"].encode() if "text" in stored else base64.b64decode(stored["base64"], validate=True)
        return cls(int(stored["status"]), {str(name): str(value) for name, value in stored["headers"].items()}, body)

    def without(self, secrets: Iterable[str]) -> HTTPReply:
        """Return the reply without credentials: those of its request, and all that look like one."""
        mask = _Mask(tuple(secrets))
        headers = {
            name: mask.url(value) if name == "location" else mask.text(value) for name, value in self.headers.items()
        }
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return HTTPReply(self.status, headers, self.body)
        found = json_or_none(text) if text[:1] in ("{", "[") else None
        clean = mask.text(text) if found is None else json.dumps(mask.value(found), ensure_ascii=False)
        return HTTPReply(self.status, headers, clean.encode(errors="surrogatepass"))


def request_of(method: str, url: str, *, headers: Iterable[tuple[str, str]], body: Any) -> HTTPRequest:
    """Return a request as cassettes keep it.

    Args:
        method: In any case.
        url: The whole URL.
        headers: They are only read for credentials, which the URL, the body and the reply may repeat.
        body: Bytes, a text, JSON data, or `None`.
    """
    sent = {name.lower(): value for name, value in headers}
    secrets = {part for name, value in sent.items() if names_account(name) for part in _parts_of_credential(value)}
    pieces = urlsplit(url)
    secrets.update(unquote(text) for text in (pieces.username, pieces.password) if text)
    secrets.update(value for name, value in parse_qsl(pieces.query) if _is_secret_parameter(name))
    data = _canonical(body, sent.get("content-type", ""))
    secrets.update(_named_secrets(data))
    known = tuple(sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True))
    mask = _Mask(known)
    return HTTPRequest(method.upper(), _without_chosen_port(mask.url(url)), mask.value(data), known)


def _without_chosen_port(url: str) -> str:
    pieces = urlsplit(url)
    port = _port_of(pieces)
    if not is_loopback(pieces.hostname or "") or not isinstance(port, int) or port < _FIRST_CHOSEN_PORT:
        return url
    return pieces._replace(netloc=pieces.netloc.removesuffix(f":{port}")).geturl()


def _port_of(pieces: SplitResult) -> int | str | None:
    """Return the port; as the URL has it where it is wrong, since the client says so when it connects."""
    try:
        return pieces.port
    except ValueError:
        return pieces.netloc.rpartition(":")[2]


def kept_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers of a reply that are kept, by their names in small letters."""
    small = ((name.lower(), value) for name, value in headers)
    return {name: value for name, value in small if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES)}


def prompt_of(body: Any) -> str | None:
    """Return what a request's body asks, in the form of any known API: the text of its last message."""
    if not isinstance(body, dict):
        return None
    for name in ("messages", "input", "contents", "prompt", "inputs", "texts"):
        asked = body.get(name)
        if isinstance(asked, list) and asked:
            asked = asked[-1]
        if asked:
            return text_of(asked)
    return None


def text_of(asked: Any) -> str:
    """Return the text of a message's content: a text, or parts of which each may have one."""
    if isinstance(asked, dict):
        for name in ("content", "parts", "text"):
            if asked.get(name):
                return text_of(asked[name])
    if isinstance(asked, list) and asked and all(isinstance(part, dict | str) for part in asked):
        return "\n".join(map(text_of, asked))
    return asked if isinstance(asked, str) else json.dumps(asked, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class _Mask:
    """Hides the known credentials, and what has the form or the name of one."""

    known: tuple[str, ...]

    def text(self, text: str) -> str:
        for secret in self.known:
            text = text.replace(secret, HIDDEN)
        return masked(text)

    def value(self, value: Any, *, within: str = "") -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        described = within == "properties"  # of a JSON schema: the names are those of fields
        is_logprob = "logprob" in value  # its `token` is a piece of text
        return {
            self.text(name): self.value(inner, within=name)
            if is_logprob or described or inner is None or isinstance(inner, bool | int | float) or not is_secret(name)
            else HIDDEN
            for name, inner in value.items()
        }

    def url(self, url: str) -> str:
        pieces = urlsplit(url)
        host = (pieces.hostname or "").lower()
        host = f"[{host}]" if ":" in host else host
        given = _port_of(pieces)
        port = f":{given}" if given not in (None, _PORTS.get(pieces.scheme)) else ""
        query = "&".join(
            f"{quote(name)}={HIDDEN if _is_secret_parameter(name) else quote(self.text(value), safe='[]')}"
            for name, value in sorted(parse_qsl(pieces.query, keep_blank_values=True))
        )
        return urlunsplit((pieces.scheme.lower(), f"{host}{port}", self.text(pieces.path), query, ""))


def _is_secret_parameter(name: str) -> bool:
    return name.lower() in _SECRET_IN_QUERY or is_secret(name) or "credential" in name.lower()


def _parts_of_credential(value: str) -> list[str]:
    """Return the texts of a header that carry a credential: the whole, what follows its scheme, each cookie's value."""
    words = []
    for word in re.split(r"[\s;,]+", value):
        _, _, assigned = word.partition("=")
        words.append(assigned if assigned.strip("=") else word)  # `=` at its end pads base64
    decoded = []
    for word in words:
        try:
            decoded += base64.b64decode(word, validate=True).decode().split(":")  # `Basic`: the user and the password
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    return [value, *words, *decoded]


def _named_secrets(data: Any) -> Iterable[str]:
    """Return the texts in JSON data whose name is that of a credential."""
    if isinstance(data, dict):
        for name, value in data.items():
            if isinstance(value, str) and is_secret(name):
                yield value
            elif name != "properties":
                yield from _named_secrets(value)
    elif isinstance(data, list):
        for item in data:
            yield from _named_secrets(item)


def _canonical(body: Any, content_type: str) -> Any:
    """Return a body as JSON data, as text, or as a digest."""
    if body is None or body in (b"", ""):
        return None
    if isinstance(body, str | bytes | bytearray):
        return _canonical_bytes(body.encode() if isinstance(body, str) else bytes(body), content_type)
    try:
        return json.loads(json.dumps(body))
    except (TypeError, ValueError, RecursionError):
        return _canonical_bytes(repr(body).encode(), "")


def _canonical_bytes(body: bytes, content_type: str) -> Any:
    boundary = re.search(r"multipart/.*boundary=\"?([^\";]+)", content_type)
    if boundary is not None:  # a random text
        body = body.replace(boundary[1].encode(), b"boundary")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(sorted(parse_qsl(text, keep_blank_values=True)))
    found = json_or_none(text)
    return text if found is None else found


def json_or_none(text: str) -> Any:
    """Return the JSON data in a text; `None` if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
