"""A client of a ColBERTv2 server. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode

from dspex_core.lm.request_cache import request_cache
from dspex_core.plain.attributes import Attributes
from dspex_core.storage.web import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ColBERTv2:
    """Finds passages through a ColBERTv2 server, such as DSPy's (Santhanam et al., 2022).

    For `settings.rm`, or in a program of your own. Equal searches are answered from the response cache.

    Args:
        url: The server's address.
        port: Its port, if it is not part of the address.
        post_requests: Whether searches are posted as JSON instead of being part of the address.

    Raises on a call:
        ValueError: The server reports an error, or its reply does not have the passages.
        OSError: No reply arrived within 10 seconds.
    """

    timeout: ClassVar[float] = 10

    def __init__(self, url: str = "http://0.0.0.0", port: str | int | None = None, post_requests: bool = False) -> None:  # noqa: FBT001, FBT002  as in DSPy
        self.url = f"{url}:{port}" if port else url
        self.post_requests = post_requests

    def __call__(self, query: str, k: int = 10, simplify: bool = False) -> list[Any]:  # noqa: FBT001, FBT002  as in DSPy
        """Return the `k` best passages: what the server says of each, by key or attribute; if `simplify`, the texts."""
        found = _search(url=self.url, query=query, k=k, is_posted=self.post_requests)
        passages = [Attributes({"long_text": passage.get("text"), **passage}) for passage in found]
        return [passage["long_text"] for passage in passages] if simplify else passages

    def __repr__(self) -> str:
        return f"ColBERTv2({self.url!r})"


@request_cache()
def _search(*, url: str, query: str, k: int, is_posted: bool) -> Sequence[Mapping[str, Any]]:
    asked = {"query": query, "k": k}
    address = url if is_posted else f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
    data = fetch(address, timeout=ColBERTv2.timeout, body=asked if is_posted else None).data
    try:
        reply = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the ColBERTv2 server at {url!r} did not reply with JSON: {data[:200]!r}") from error
    if isinstance(reply, dict) and reply.get("error"):
        raise ValueError(f"the ColBERTv2 server at {url!r} returned an error: {reply.get('message', reply['error'])}")
    found = reply.get("topk") if isinstance(reply, dict) else None
    if not isinstance(found, list) or not all(isinstance(passage, dict) for passage in found):
        raise ValueError(f"the ColBERTv2 server at {url!r} returned no list of passages 'topk': {data[:200]!r}")
    return cast("list[dict[str, Any]]", found[:k])
