"""Checked addresses, headers and proxies for HTTP. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from dspex_core.plain.secrets import AddressText, SecretMapping, is_secret, shown_address

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("http", "https")
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SECRET_IN_QUERY = frozenset({"key", "sig", "signature", "token", "code"})
_FRAMING = ("content-length", "transfer-encoding")


class AddressError(ValueError):
    """An address, a proxy or a header that HTTP cannot take; the message shows no credential."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL to request, separated from the user and password in it."""

    url: str
    authorization: str | None = None

    @property
    def target(self) -> str:
        """Path and query of a request."""
        parts = urlsplit(self.url)
        return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def address_of(url: str, path: str = "", query: Mapping[str, str] | None = None) -> Address:
    """Return the address of a path below a URL, whose own query is kept.

    Raises:
        AddressError: `url` is not the URL of an HTTP server.
    """
    parts = _parts(url, "address")
    queries = "&".join(filter(None, (parts.query, urlencode(query or {}, quote_via=quote))))
    below = "/".join(filter(None, (parts.path.rstrip("/"), path))) if path else parts.path
    place = quote(below, safe=_PATH_SAFE)
    if place and not place.startswith("/"):
        place = f"/{place}"
    made = SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], place, quote(queries, safe=_PATH_SAFE + "?"), "")
    return Address(AddressText(made.geturl()), _authorization(parts))


def bare_address(url: str) -> str:
    """Return a URL without user and password, and without the parts of its query that carry credentials."""
    place, mark, query = url.partition("?")
    scheme, slashes, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    kept = "&".join(pair for pair in query.split("&") if not is_secret_in_query(unquote(pair.partition("=")[0])))
    return AddressText(f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}{mark if kept else ''}{kept}")


def is_secret_in_query(name: str) -> bool:
    """Return whether a parameter of this name in a URL carries a credential."""
    return name.lower() in _SECRET_IN_QUERY or is_secret(name)


def credentials_in(url: str) -> list[str]:
    """Return the user, the password and the values of the query in a URL, as they are written and decoded."""
    place, _, query = url.partition("?")
    user = place.partition("://")[2].partition("/")[0].rpartition("@")[0]
    values = [pair.partition("=")[2] for pair in query.split("&")]
    written = [user, *user.split(":", 1), *values]
    return [*written, *map(unquote, written)]


def _parts(url: str, kind: str) -> SplitResult:
    """Split an HTTP URL."""
    if re.search(r"[\x00-\x1f\x7f]", url.strip()):  # `urlsplit` leaves some of them out
        raise AddressError(f"the {kind} {shown_address(url)!r} holds a line break or another control character")
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:  # UnicodeError among them
        message = f"the {kind} {shown_address(url)!r} is not a URL: {error}"
        raise AddressError(message) from None  # its arguments may hold the password
    if parts.scheme not in _SCHEMES or not host or re.search(r"[\s\x00-\x20\\]", parts.netloc):
        message = f"the {kind} {shown_address(url)!r} must be http:// or https:// and a host"
        raise AddressError(message)
    return parts


def _authorization(parts: SplitResult) -> str | None:
    if not parts.username and not parts.password:
        return None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def headers_of(*given: Mapping[str, str]) -> SecretMapping:
    """Return headers as one mapping; later ones replace earlier ones; names are case-insensitive.

    Raises:
        AddressError: A name or a value cannot be sent. The message does not show the value.
    """
    merged: dict[str, tuple[str, str]] = {}
    for name, value in (pair for headers in given for pair in headers.items()):
        _check_header(name, value)
        merged[name.lower()] = (name, value)
    return SecretMapping(merged.values())


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        message = f"{name!r} cannot be the name of a header"
        raise AddressError(message)
    if name.lower() in _FRAMING:
        message = f"the header {name!r} cannot be set: it is derived from the request"
        raise AddressError(message)
    if not isinstance(value, str):
        message = f"the header {name!r} must be a text, not {type(value).__name__}"
        raise AddressError(message)
    problem = unsendable(value)
    if problem:
        message = f"the header {name!r} {problem}"
        raise AddressError(message)


def unsendable(value: str) -> str | None:
    """Return why a text cannot be a header's value, or `None`. The text, which may be a key, is not shown."""
    if _NOT_IN_A_HEADER.search(value):
        return "holds a line break or another control character"
    try:
        value.encode("ascii")
    except UnicodeEncodeError as error:  # the standard leaves open what its bytes would be, and HTTP clients differ
        return f"holds a character beyond ASCII at position {error.start}"
    return None


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names."""

    url: str
    headers: Mapping[str, str]  # with its credentials


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for a URL: never for this machine or hosts in `NO_PROXY`.

    Raises:
        AddressError: The environment names a proxy that is not an HTTP proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    import urllib.request  # loads a dozen modules that only a call needs

    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    networks = proxies.get("no", "").split(",")
    if any(_is_within(host, network.strip()) for network in networks if "/" in network):
        return None
    named = (proxies.get(parts.scheme) or proxies.get("all") or "").strip()
    if not named:
        return None
    proxy = _parts(named if "://" in named else f"http://{named}", "proxy")
    address = Address(SplitResult(proxy.scheme, proxy.netloc.rpartition("@")[2], "", "", "").geturl())
    credentials = _authorization(proxy)
    return Proxy(address.url, SecretMapping({"Proxy-Authorization": credentials} if credentials else {}))


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
