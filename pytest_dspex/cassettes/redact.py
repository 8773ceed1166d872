"""Removes credentials and the names of accounts from requests before they are recorded. PYTEST_DONT_REWRITE

LM clients keep credentials out of requests, but a user may pass `api_key=` along with the
sampling parameters of a call. Parameters are dropped by name, and all others are kept: with a
list of allowed names, two requests that differ in an unlisted parameter would have one key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import is_secret as is_credential
from dspex_core.plugin_api import without_secrets as without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.plugin_api import Json


def without_secrets(parameters: Mapping[str, Any]) -> Json:
    """Return a copy of parameters without those that carry credentials or name an account, at any depth.

    The fields that a JSON schema describes under `properties` are kept, whatever their names.
    """
    return without(parameters, is_secret)


def is_secret(name: str) -> bool:
    """Return whether a parameter or a header of this name carries a credential or names an account."""
    return "organization" in name.lower() or is_credential(name)
