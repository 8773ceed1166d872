"""The one list of secrets: which names and texts carry credentials, and how to hide them. PYTEST_DONT_REWRITE

Names decide first, whatever their case and separators: `apiKey`, `API_KEY` and `X-Api-Key` are the same.
Of texts, only those with an unmistakable form count, such as `Bearer ...` or a URL with a password.
All other names and texts are kept: a list of allowed names would lose what it does not know.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import ENDLESS

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "[secret]"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Unmistakable in a name without separators, wherever they stand there.
_ANYWHERE = re.compile(
    r"apikey|accesskey|privatekey|secret(?!ar)|passw(or)?d|passphrase|passcode|authorization|bearer|credential|cookie"
    r"|headers|sessionid|sessionkey|subscriptionkey|functionskey|sshkey|serviceaccount|keyfile|connectionstr"
    r"|tokenprovider|accesssignature|amzsignature|hubsignature|githubpat|(access|auth|refresh|session|api|bearer)tokens"
)
# Too short to be looked for inside of other words.
_WHOLE_WORDS = frozenset("pwd jwt sas dsn hmac otp csrf xsrf auth oauth netrc".split())  # noqa: SIM905  reads better
# `..._key` is a secret behind these; `cache_key`, `primary_key` or `sort_key` are not.
_KEY_OWNERS = tuple(
    "account admin anthropic app application auth aws azure client cohere consumer databricks datadog deepseek deploy "  # noqa: SIM905  as above
    "encryption fireworks function gcp gemini google groq hf huggingface langfuse langsmith license master mistral "
    "openai openrouter pinecone provider qdrant replicate serper service shared signing storage stripe tavily together "
    "vertex wandb weaviate webhook write xai".split()
)
# `..._token` is a secret, but not behind these: there it is a piece of text, or a place in a list.
_TOKEN_KINDS = frozenset(
    "audio begin bos cls continuation each end eos first image input last mask max min new next num output pad page "  # noqa: SIM905  as above
    "per prefix prompt sep special start stop suffix think thinking unk video".split()
)
_ADDRESSES = ("apibase", "baseurl", "endpoint", "modellist", "proxy", "proxies")
_PASSWORD_IN_URL = r"(?<=://)[^/\s@:]*:[^/\s@]+(?=@)"  # noqa: S105  a pattern
_USER_IN_URL = re.compile(r"(?<=://)[^/\s?#]+(?=@)")
_VALUE_IN_QUERY = re.compile(r"(?<=[?&])([^=&#\s]*=)[^&#\s]+")
_FORMS = (
    r"\bsk-[A-Za-z0-9_-]{6,}|\b(?:ghp|gho|ghs|ghu|hf|gsk|xai|tvly|pplx|r8)[_-][A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}"
    r"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{30,}|\bxox[abprs]-[0-9A-Za-z-]{8,}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*|(?<=\bBearer )[^\s\"',;]{6,}|(?<=\bBasic )[A-Za-z0-9+/=]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_IN_URL = re.compile(_PASSWORD_IN_URL)
_IN_TEXT = re.compile(_FORMS)
# Each form has one of these: most texts have none, and looking for the forms themselves takes a millisecond for 2 kB.
_MARKS = (
    "sk-", "ghp", "gho", "ghs", "ghu", "hf_", "hf-", "gsk", "xai", "tvly", "pplx", "r8_", "r8-", "github_pat_", "AKIA",
    "ASIA", "AIza", "xox", "eyJ", "Bearer ", "Basic ", "-----BEGIN ",
)  # fmt: skip
_WHOLE = re.compile(rf"\s*(?:(?:Bearer|Basic) )?(?:{_FORMS})\s*|\s*[\w+.-]+://[^/\s@:]*:[^/\s@]+@\S*\s*")
_SHORTEST = 9  # characters of a text that has the form of a secret


class SecretText(str):
    """A text with a `repr` that hides it, also from tracebacks that show arguments."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)


class SecretBytes(bytes):
    """Bytes with a `repr` that shows their number only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class AddressText(str):
    """A URL with a `repr` that hides its user, its password and the values of its query."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_address(self))


class SecretMapping(dict[str, Any]):
    """A dictionary, such as headers, whose `repr` shows only the names."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, HIDDEN))

    def copy(self) -> SecretMapping:
        """Return a copy that hides its values, too."""
        return SecretMapping(self)


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Return whether a parameter, header or variable of this name carries a credential."""
    words = [word.lower() for word in _WORDS.findall(name)]
    compact = "".join(words)
    if _ANYWHERE.search(compact) or not _WHOLE_WORDS.isdisjoint(words):
        return True
    if compact.endswith("key"):
        return compact.removesuffix("key").endswith(_KEY_OWNERS)
    if compact.endswith("token"):
        before = words[-1].removesuffix("token") or (words[-2] if len(words) > 1 else "")
        return before not in _TOKEN_KINDS
    return False


@lru_cache(maxsize=4096)
def is_private(name: str) -> bool:
    """Return whether a value of this name must stay out of shared files: a credential, or an address."""
    return is_secret(name) or "".join(_WORDS.findall(name)).lower().endswith(_ADDRESSES)


def environment_secrets() -> set[str]:
    """Return the credentials in the environment of this process; the path of a key's file is not one."""
    # The values of secret names alone: to decode all takes several times as long, and each report of a test asks.
    found = [os.environ.get(name) for name in os.environ if is_secret(name)]
    return {value for value in found if value and not os.path.exists(value)}  # noqa: PTH110  it may be too long for a path


@lru_cache(maxsize=256)
def secret_forms(secret: str) -> frozenset[str]:
    """Return the forms in which a text may hold a secret: as it is, in a URL, and within JSON or a `repr`."""
    in_url = (quote(secret), quote(secret, safe=""))
    within = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
    return frozenset((secret, *in_url, *(text[1:-1] for text in within)))


def looks_secret(text: str) -> bool:
    """Return whether a whole text has the form of a credential: a key, `Bearer ...`, a URL with a password."""
    return len(text) >= _SHORTEST and _WHOLE.fullmatch(text) is not None


def masked(text: str) -> str:
    """Return a text in which the credentials of an unmistakable form are hidden."""
    if "://" in text:
        text = _IN_URL.sub(HIDDEN, text)
    return _IN_TEXT.sub(HIDDEN, text) if any(mark in text for mark in _MARKS) else text


def shown_address(url: str) -> str:
    """Return a URL without its user, its password and the values of its query."""
    return _VALUE_IN_QUERY.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(HIDDEN, url))


def without_frames(error: BaseException) -> BaseException:
    """Return an error after its frames, and those of its causes, are dropped: they hold what was sent.

    Test runners and error trackers show the variables of all frames of an error and of its causes.
    """
    cause: BaseException | None = error
    while cause is not None and cause.__traceback__ is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
    return error


def holds_credential(text: str) -> bool:
    """Return whether a credential of an unmistakable form, or one that the environment holds, stands in a text."""
    held = (value for name, value in os.environ.items() if len(value) >= _SHORTEST and is_secret(name))
    return masked(text) != text or any(value in text for value in held)


def without_secrets(parameters: Mapping[Any, Any], drops: Callable[[str], bool] = is_secret) -> dict[Any, Any]:
    """Return a copy of parameters without those that carry credentials, at any depth, in dictionaries and lists.

    The fields that a JSON schema describes under `properties` are kept, whatever their names.

    Args:
        parameters: They are not changed.
        drops: Returns whether to leave out the value of a name; `is_private` leaves out addresses, too.
    """
    try:
        return _without(parameters, within="", drops=drops)
    except RecursionError:
        raise _endless(parameters) from None


def with_hidden_secrets(value: Any) -> Any:
    """Return JSON data that is the same, but with a `repr` that hides the credentials in it, at any depth.

    Raises:
        ConfigurationError: It holds itself, or is nested too deeply.
    """
    try:
        return _with_hidden(value)
    except RecursionError:
        raise _endless(value) from None


def _with_hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hidden(item) if is_secret(str(name)) else _with_hidden(item) for name, item in value.items()}
    return [_with_hidden(item) for item in value] if isinstance(value, list) else value


def _endless(parameters: Any) -> ConfigurationError:
    named = f"one of {', '.join(map(repr, parameters))}" if isinstance(parameters, Mapping) else "a value"
    return ConfigurationError(f"{named} {ENDLESS}: give plain JSON data")


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return SecretMapping(value)
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return SecretText(value) if isinstance(value, str) else value


def _without(parameters: Mapping[Any, Any], *, within: str, drops: Callable[[str], bool]) -> dict[Any, Any]:
    described = within == "properties"
    return {
        name: _cleaned(value, str(name), drops)
        for name, value in parameters.items()
        if (described and isinstance(value, Mapping)) or not (drops(str(name)) or _is_secret_text(value))
    }


def _cleaned(value: Any, name: str, drops: Callable[[str], bool]) -> Any:
    if isinstance(value, Mapping):
        return _without(value, within=name, drops=drops)
    if isinstance(value, list | tuple):
        return [_cleaned(item, name, drops) for item in value if not _is_secret_text(item)]
    return value


def _is_secret_text(value: Any) -> bool:
    return isinstance(value, SecretText) or (isinstance(value, str) and looks_secret(value))
