"""Classifies failures by the text of an error message. PYTEST_DONT_REWRITE

Many providers give no code, or a vague one, for a prompt that is too long: only the text says so. The same words appear
in messages on limits of tokens in a minute, and on a `max_tokens` that is too large.
"""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s`'\"*_\-\u2019]+")

_LIMIT_OF_THE_ACCOUNT = re.compile(
    r"\bper (second|sec|minute|min|hour|day|month)\b|\b[tr]p[smdh]\b|rate limit|too many requests|throttl|slow down"
    r"|quota|\bcredits?\b|billing"
)
_CANNOT_PAY = re.compile(r"insufficient (balance|credits?|funds|quota)|payment required|credit balance is too low")
_KEY_REFUSED = re.compile(
    r"\bapi key\b( \w+){0,2} (not valid|invalid|expired|incorrect)|\b(invalid|incorrect|expired) api key"
)
_SERVER_FAILED = re.compile(
    r"overloaded|unavailable|internal (server )?error|(at|over) capacity|bad gateway|try again|upstream"
)
_TOOK_TOO_LONG = re.compile(r"\btime(d)? ?out\b|deadline exceeded")

_WINDOW = r"(context|sequence) (length|window|size|limit)"
_PROMPT = r"(prompt|inputs?|messages?|conversation|request|text)"
_REPLY_LIMIT = r"max(imum)? ?(completion |output ?|new |length )?tokens"
_EXCEEDS = r"(exceed\w*|overflow\w*|(longer|larger|greater|more) than|only supports up to|supports only up to)"
_TOO_LONG = re.compile(
    "|".join(
        [
            rf"max(imum)?( allowed| supported| model)* {_WINDOW}",
            r"max(imum)?( allowed| supported)* (prompt|input|model|messages?)( token)? (length|tokens)",
            rf"{_EXCEEDS}( \w+){{0,5}} {_WINDOW}",
            rf"{_WINDOW}( \w+){{0,6}} {_EXCEEDS}|{_WINDOW} of only",
            rf"\b{_PROMPT}( text| length| tokens| entity| body| sequence)? ?(is |are |was )?too (long|large)",
            r"too many (\w+ )?tokens|too large for model|context shift is disabled",
            rf"\b{_PROMPT}\b[^.;]{{0,60}}(tokens?|length)\b[^.;]{{0,60}}\b{_EXCEEDS}",
            rf"tokens? (in|from|of) (the |your )?{_PROMPT}\b[^.;]{{0,40}}\b{_EXCEEDS}",
            rf"{_EXCEEDS}( \w+){{0,3}} (token|prompt|input) (limit|length|tokens)",
            rf"\b{_PROMPT} exceeds?( \w+){{0,3}} (length|size)",
            rf"\b(reduce|shorten|decrease)( \w+){{0,4}} {_PROMPT}\b|shorter {_PROMPT}",
            r"range of input length|must have less than \d+ tokens|input \(\d+ tokens\) is too large",
            r"expected maxlength: \d+, actual: \d+|invalid (messages|input|prompt|instructions)\S*\W+string too long",
            rf"prompt 超长|输入长度超过|input too large|inputs tokens \+ {_REPLY_LIMIT}",
            rf"\b{_PROMPT} (you|that you|which you) \w+ (is|was) too (long|large)",
            rf"token limit exceeded: {_PROMPT}\b",
        ]
    )
)

_REPLY_TOO_LONG = re.compile(
    "|".join(
        [
            rf"{_REPLY_LIMIT}( or {_REPLY_LIMIT})?( value| parameter)?( is| are)? too (large|high|big)",
            rf"{_REPLY_LIMIT}( value| parameter)?( of)?\W{{1,3}}\d+\W* (>|{_EXCEEDS}|but|is )",
            rf"{_REPLY_LIMIT}( value| parameter)? (must|should|cannot|can t|may not|has to|{_EXCEEDS})",
            rf"(invalid|range of|range for|value for)( value)?( for)? {_REPLY_LIMIT}|{_REPLY_LIMIT} value",
            r"at most \d+ (completion|output) tokens|maximum tokens you requested|maximum (allowed )?number of output",
        ]
    )
)
_PROMPT_AND_REPLY = re.compile(
    rf"{_PROMPT}( length| tokens)? (and|\+) {_REPLY_LIMIT}|of text input"
    r"|(in|from) (the |your )?(input |prompt|messages)"
)
# The space that vLLM computes for a reply, the window minus the prompt: "(512 > 8192 - 8000)".
_ROOM = re.compile(r"\d+ > (?P<window>\d{1,12}) - (?P<prompt>\d{1,12})")


def is_too_long(message: str) -> bool:
    """Whether a message says that the prompt is too long for the model, so that a shorter one may do."""
    words = _plain(message)
    if _LIMIT_OF_THE_ACCOUNT.search(words):
        return False
    if room := _ROOM.search(message):
        return int(room["prompt"]) * 2 > int(room["window"])  # otherwise the reply takes too much
    if _REPLY_TOO_LONG.search(words) and not _PROMPT_AND_REPLY.search(words):
        return False
    return _TOO_LONG.search(words) is not None


def is_limit_of_the_account(message: str) -> bool:
    """Whether a message speaks of a rate limit or a quota."""
    return _LIMIT_OF_THE_ACCOUNT.search(_plain(message)) is not None


def is_unpaid(message: str) -> bool:
    """Whether a message says that the account cannot pay."""
    return _CANNOT_PAY.search(_plain(message)) is not None


def is_key_refused(message: str) -> bool:
    """Whether a message says that the key is not a valid one."""
    return _KEY_REFUSED.search(_plain(message)) is not None


def is_timeout(message: str) -> bool:
    """Whether a message says that the provider took too long."""
    return _TOOK_TOO_LONG.search(_plain(message)) is not None


def is_server_failure(message: str) -> bool:
    """Whether a message says that the provider failed, which may pass."""
    return _SERVER_FAILED.search(_plain(message)) is not None


def _plain(message: str) -> str:
    """Return a message's words in one spelling: `max_tokens`, "max-tokens" and `'max tokens'`."""
    return _SEPARATORS.sub(" ", message.lower())
