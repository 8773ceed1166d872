"""A function on OpenAI's SDK, which knows nothing of this library, and the server that it asks."""

import os

import openai

from dspex_core.plugin_api import BUILT_IN, serve
from pytest_dspex import program

# The SDK reads both variables itself. A replay sends nothing to this address.
os.environ.setdefault("OPENAI_API_KEY", "the embedded model needs none")
REPLAYED = "http://127.0.0.1:65535/v1"

EXAMPLES = [
    ("We met in Bergen last year.", "Bergen"),
    ("The bus to Toledo is late.", "Toledo"),
    ("He studies music in Lima.", "Lima"),
    ("Please call our shop in Perth.", "Perth"),
    ("Snow fell in Quebec all day.", "Quebec"),
    ("They came from Seoul on Monday.", "Seoul"),
]


def pytest_collection_modifyitems(config):
    """Let the SDK ask the embedded model, where the session asks one and no other server is named."""
    asks = config.getoption("dspex_live") or config.getoption("dspex_record") != "none"
    os.environ.setdefault("OPENAI_BASE_URL", serve(BUILT_IN) if asks else REPLAYED)


@program
async def city(text):
    messages = [{"role": "system", "content": "Name the city in the text, with one word."}]
    for said, name in EXAMPLES:
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": name}]
    async with openai.AsyncOpenAI() as client:
        reply = await client.chat.completions.create(
            model=BUILT_IN, messages=[*messages, {"role": "user", "content": text}], temperature=0, max_tokens=10
        )
    return {"city": reply.choices[0].message.content.strip(" .")}
