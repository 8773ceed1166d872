"""What never gets into a cassette: credentials, told by the name of their parameter. PYTEST_DONT_REWRITE

LM clients keep credentials out of requests, but a user may pass `api_key=` along with the
sampling parameters of a call. Parameters are dropped by name and all others are kept: an
allow-list would give two requests that differ in a parameter it does not know one answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.messages import Json

# Looked for in names that are in lower case and without separators: "X-Api-Key" is "xapikey".
_SECRET = re.compile(
    r"apikey|accesskey|privatekey|secret|passw(or)?d|passphrase|authorization|bearer|credential|cookie|header"
    r"|organization|tokenprovider|auth$|(?<!eos)(?<!bos)(?<!pad)(?<!stop)token$"
)


def without_secrets(parameters: Mapping[str, Any]) -> Json:
    """Return a copy of parameters without those that carry credentials or name an account, at any depth.

    The fields that a JSON schema describes under `properties` are kept, whatever their names.
    """
    return _without_secrets(parameters, within="")


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Say whether a parameter or a header of this name carries a credential or names an account."""
    return _SECRET.search(re.sub(r"[^a-z0-9]", "", name.lower())) is not None


def _without_secrets(parameters: Mapping[Any, Any], *, within: str) -> Json:
    return {
        name: _clean(value, str(name))
        for name, value in parameters.items()
        if not is_secret(str(name)) or (within == "properties" and isinstance(value, Mapping))
    }


def _clean(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return _without_secrets(value, within=name)
    if isinstance(value, list | tuple):
        return [_clean(item, name) for item in value]
    return value
