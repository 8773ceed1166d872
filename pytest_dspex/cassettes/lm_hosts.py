"""Which HTTP requests go to a language model. PYTEST_DONT_REWRITE

A server is known by its name, by an environment variable or the ini key `dspex_lm_hosts`. On any other server, on
loopback too, a request counts that has the path and the fields of an LM's API. All else passes: databases, the user's
own servers.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Domains, with all of their subdomains; services that share a domain with much else are known by their paths.
_DOMAINS = frozenset(
    "01.ai ai21.com aleph-alpha.com anthropic.com anyscale.com api.jina.ai api.writer.com api.x.ai "  # noqa: SIM905  reads better
    "api.z.ai baichuan-ai.com bigmodel.cn cerebras.ai cohere.ai cohere.com dashscope-intl.aliyuncs.com "
    "dashscope.aliyuncs.com deepinfra.com deepseek.com endpoints.huggingface.cloud featherless.ai fireworks.ai "
    "friendli.ai gateway.ai.cloudflare.com generativelanguage.googleapis.com githubcopilot.com groq.com hyperbolic.xyz "
    "inference.ai.azure.com inference.huggingface.co inference.ml.azure.com integrate.api.nvidia.com lepton.ai "
    "minimax.chat minimax.io minimaxi.com mistral.ai ml.cloud.ibm.com models.ai.azure.com models.github.ai "
    "models.inference.ai.azure.com moonshot.ai moonshot.cn nebius.ai nebius.com novita.ai nscale.com octoai.cloud "
    "ollama.com openai.azure.com openai.com openrouter.ai perplexity.ai predibase.com replicate.com "
    "router.huggingface.co api-inference.huggingface.co sambanova.ai services.ai.azure.com siliconflow.cn "
    "siliconflow.com stepfun.com together.ai together.xyz upstage.ai volces.com voyageai.com".split()
)
_REGIONAL = re.compile(r"(?:[\w-]+-)?aiplatform\.googleapis\.com|bedrock(?:-[\w-]+)?\.[\w-]+\.amazonaws\.com(?:\.cn)?")
_SURE = re.compile(
    r"/chat/completions$|/v\d+\w*/completions$|/v\d+\w*/images/(?:generations|edits|variations)$"
    r"|/audio/(?:transcriptions|translations|speech)$|:(?:stream)?generateContent$|:(?:batch)?embedContents?$|:(?:stream)?rawPredict$"
    r"|/model/[^/]+/(?:converse|invoke)(?:-with-response-stream|-stream)?$|/ai/run/|/serving-endpoints/[^/]+/invocations$",
    re.IGNORECASE,
)
# Paths that other services have as well, and the fields that only an LM's requests have there.
_LIKELY: tuple[tuple[re.Pattern[str], Callable[[dict[str, Any]], bool]], ...] = (
    (
        re.compile(r"/embeddings?$"),
        lambda body: not body.keys().isdisjoint({"input", "model", "inputs", "texts", "content"}),
    ),
    (re.compile(r"/completions?$"), lambda body: not body.keys().isdisjoint({"prompt", "messages"})),
    (re.compile(r"/responses(?:/compact)?$"), lambda body: "model" in body or ("input" in body and "prompt" in body)),
    (re.compile(r"/messages(?:/count_tokens)?$"), lambda body: {"model", "messages"} <= body.keys()),
    (re.compile(r"/(?:chat|generate|embed|complete)$"), lambda body: "model" in body or "inputs" in body),
    (re.compile(r"/infer$|/generate_stream$"), lambda body: "inputs" in body),
    (
        re.compile(r"/re-?rank$"),
        lambda body: {"query", "documents"} <= body.keys() or {"query", "texts"} <= body.keys(),
    ),
    (re.compile(r"/moderations$"), lambda body: "input" in body),
)
_OWNERS = (
    "OPENAI|AZURE_OPENAI|AZURE_AI|AZURE_INFERENCE|ANTHROPIC|GEMINI|GOOGLE_GEMINI|GOOGLE_GENAI|VERTEX|VERTEXAI|OLLAMA"
    "|LITELLM|VLLM|MISTRAL|GROQ|COHERE|TOGETHER|TOGETHERAI|FIREWORKS|DEEPSEEK|OPENROUTER|XAI|HF_INFERENCE|NVIDIA_NIM"
    "|BEDROCK|AWS_BEDROCK|DSPEX|LM_STUDIO|LMSTUDIO|LLAMA|LLAMACPP|CEREBRAS|PERPLEXITY|VOYAGE|LLM|LM"
)
_VARIABLE = re.compile(
    rf"(?:{_OWNERS})_(?:API_|PROXY_|PROXY_API_|CHAT_|SERVER_|RUNTIME_|EMBEDDINGS?_)?"
    "(?:BASE_URL|API_BASE|BASE|API_URL|URL|ENDPOINT|ENDPOINT_URL|HOST|SERVER)"
)


@dataclass(frozen=True, slots=True)
class LMHosts:
    """The servers that a session knows as those of LMs.

    Args:
        named: Those of the ini key `dspex_lm_hosts`: `host` or `host:port`, in which `*` stands for any text; after a
            `!`, one that is not an LM's.
    """

    named: tuple[str, ...] = ()

    def is_lm(self, method: str, url: str, body: Callable[[], Any]) -> bool:
        """Return whether a request goes to an LM; `body` returns what it sends, and is called if that decides."""
        pieces = urlsplit(url)
        host, port = (pieces.hostname or "").lower(), pieces.port or (443 if pieces.scheme in ("https", "wss") else 80)
        named = self._is_named(host, port)
        if named is not None:
            return named
        if self.is_address(host, port):
            return True
        path = pieces.path.rstrip("/")
        if method.upper() != "POST":
            return False
        if _SURE.search(path):
            return True
        for pattern, has_fields in _LIKELY:
            if pattern.search(path):
                fields = _fields(body())
                return fields is not None and has_fields(fields)
        return False

    def is_address(self, host: str, port: int | None) -> bool:
        """Return whether all requests to a server go to an LM."""
        named = self._is_named(host, port)
        if named is not None:
            return named
        return _is_known(host) or (host, port) in _from_environment()

    def _is_named(self, host: str, port: int | None) -> bool | None:
        """Return what the ini key says of a server; the last entry that fits decides."""
        found = None
        for entry in self.named:
            pattern = entry.removeprefix("!")
            if fnmatch(host, pattern) or fnmatch(f"{host}:{port}", pattern):
                found = not entry.startswith("!")
        return found


def _is_known(host: str) -> bool:
    labels = host.split(".")
    domains = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return not _DOMAINS.isdisjoint(domains) or _REGIONAL.fullmatch(host) is not None


def hosts_of(entries: Iterable[str]) -> LMHosts:
    """Return the hosts of the ini key's entries; of an entry that is a URL, its host and port count."""
    return LMHosts(tuple(("!" if entry.startswith("!") else "") + _server(entry) for entry in entries))


def check_hosts(entries: Iterable[str]) -> None:
    """Refuse entries of the ini key that no server has for its name.

    Raises:
        pytest.UsageError: An entry names no host, or has a path or a port that is not a number.
    """
    for entry in entries:
        if problem := _problem_of(entry):
            raise pytest.UsageError(
                f"the ini key dspex_lm_hosts: {entry!r} {problem}; write HOST or HOST:PORT, and !HOST (no space) "
                "for one that is not an LM's"
            )


def _problem_of(entry: str) -> str:
    server = _server(entry)
    host, colon, port = server.rpartition(":")
    if not server or server.startswith((":", "!")):
        return "names no host"
    if "/" in server:
        return "has a path, but a server is all that counts"
    if colon and ":" not in host and not re.fullmatch(r"[\d*?\[\]-]+", port):
        return f"has the port {port!r}, which is not a number"
    return ""


def _server(entry: str) -> str:
    name = entry.removeprefix("!")
    return (urlsplit(name).netloc.rpartition("@")[2] if "://" in name else name.rstrip("/")).lower()


def _from_environment() -> set[tuple[str, int]]:
    """Return the servers that variables such as `OPENAI_BASE_URL` name."""
    found = set()
    for name in os.environ:  # which may change meanwhile
        value = os.environ.get(name, "")
        if value and _VARIABLE.fullmatch(name):
            try:
                pieces = urlsplit(value if "://" in value else f"http://{value}")
                port = pieces.port or (443 if pieces.scheme == "https" else 80)
            except ValueError:
                continue
            if pieces.hostname:
                found.add((pieces.hostname.lower(), port))
    return found


def _fields(body: Any) -> dict[str, Any] | None:
    if isinstance(body, str | bytes | bytearray):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return None
    return body if isinstance(body, dict) else None
