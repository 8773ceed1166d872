"""What an address of the web holds. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK = 200


@dataclass(frozen=True, slots=True)
class Fetched:
    """The content at an address, and what the server says that it is."""

    data: bytes
    content_type: str


def fetch(
    url: str, *, verify: bool = True, timeout: float | None = None, body: Mapping[str, Any] | None = None
) -> Fetched:
    """Get what is at a URL, from any address; the caller must restrict addresses.

    A `body` is posted as JSON.

    Raises:
        ValueError: The URL is not http or https, or the server does not have it.
        OSError: No reply arrived.
    """
    with foreign_code():
        import urllib3  # only needed for downloads

    if not is_url(url, "http", "https"):
        raise ValueError(f"{url!r} cannot be downloaded: it is not an http or https URL")
    redirects = urllib3.Retry(total=5, connect=0, read=0)
    with urllib3.PoolManager(cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE", retries=redirects) as pool:
        try:
            reply = pool.request("GET" if body is None else "POST", url, timeout=timeout, json=body)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(f"{url!r} cannot be downloaded: {error}") from error
    if reply.status != _OK:
        raise ValueError(f"{url!r} cannot be downloaded: the server replied with status {reply.status}")
    return Fetched(reply.data, reply.headers.get("Content-Type", "").partition(";")[0].strip())


def is_url(text: str, *schemes: str) -> bool:
    """Return whether a text is a URL with a host and one of the schemes."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc) and not re.search(r"[\s\x00-\x1f]", text)
