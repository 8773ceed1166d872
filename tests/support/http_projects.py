"""Projects whose tests call an LM through the libraries of others."""

PROJECT = """
    import asyncio
    import json
    import os
    import threading

    import pytest
    from pytest_dspex import program

    URL = os.environ["TESTED_URL"]
    KEY = "sk-" + "5ecret" * 4

    def body(question, **more):
        return {"model": "m", "messages": [{"role": "user", "content": question}], **more}

    def text(reply):
        return reply["choices"][0]["message"]["content"]

    def of_events(lines):
        found = []
        for line in lines:
            line = line.decode() if isinstance(line, bytes) else line
            if line.startswith("data: {"):
                choices = json.loads(line.removeprefix("data: "))["choices"]
                found += [choice["delta"].get("content") or "" for choice in choices]
        return "".join(found)
"""

# For each library a function that asks, one that asks async, and two that read a stream, as far as it has them.
LIBRARIES = {
    "httpx": """
        import httpx
        def ask(question):
            return text(httpx.post(f"{URL}/chat/completions", json=body(question)).json())
        def stream(question):
            with httpx.stream("POST", f"{URL}/chat/completions", json=body(question, stream=True)) as reply:
                return of_events(reply.iter_lines())
        async def aask(question):
            async with httpx.AsyncClient() as client:
                return text((await client.post(f"{URL}/chat/completions", json=body(question))).json())
        async def astream(question):
            async with httpx.AsyncClient() as client, client.stream(
                "POST", f"{URL}/chat/completions", json=body(question, stream=True)
            ) as reply:
                return of_events([line async for line in reply.aiter_lines()])
    """,
    "requests": """
        import requests
        def ask(question):
            return text(requests.post(f"{URL}/chat/completions", json=body(question)).json())
        def stream(question):
            with requests.post(f"{URL}/chat/completions", json=body(question, stream=True), stream=True) as reply:
                return of_events(reply.iter_lines())
    """,
    "urllib3": """
        import urllib3
        pool = urllib3.PoolManager(headers={"Connection": "close"})
        def ask(question):
            return text(pool.request("POST", f"{URL}/chat/completions", json=body(question)).json())
        def stream(question):
            reply = pool.request(
                "POST", f"{URL}/chat/completions", json=body(question, stream=True), preload_content=False
            )
            return of_events(b"".join(reply.stream(16)).splitlines())
    """,
    "urllib": """
        import urllib.request
        def sent(question, **more):
            data = json.dumps(body(question, **more)).encode()
            request = urllib.request.Request(
                f"{URL}/chat/completions", data=data, headers={"Content-Type": "application/json"}
            )
            return urllib.request.urlopen(request)
        def ask(question):
            with sent(question) as reply:
                return text(json.load(reply))
        def stream(question):
            with sent(question, stream=True) as reply:
                return of_events(reply)
    """,
    "http_client": """
        import http.client
        from urllib.parse import urlsplit
        connection = http.client.HTTPConnection(urlsplit(URL).netloc)
        def sent(question, **more):
            data = json.dumps(body(question, **more))
            connection.request("POST", "/v1/chat/completions", data, {"Connection": "close"})
            return connection.getresponse()
        def ask(question):
            return text(json.loads(sent(question).read()))
        def stream(question):
            return of_events(sent(question, stream=True).readlines())
    """,
    "aiohttp": """
        import aiohttp
        async def aask(question):
            async with aiohttp.ClientSession(base_url=f"{URL}/") as session:
                async with session.post("chat/completions", json=body(question)) as reply:
                    return text(await reply.json())
        async def astream(question):
            async with aiohttp.ClientSession() as session:
                data = json.dumps(body(question, stream=True))
                async with session.post(f"{URL}/chat/completions", data=data) as reply:
                    return of_events([line async for line in reply.content])
    """,
    "openai": """
        import openai
        def ask(question):
            with openai.OpenAI(base_url=URL, api_key=KEY) as client:
                return client.chat.completions.create(**body(question)).choices[0].message.content
        def stream(question):
            with openai.OpenAI(base_url=URL, api_key=KEY) as client:
                chunks = client.chat.completions.create(**body(question), stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        async def aask(question):
            async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
                return (await client.chat.completions.create(**body(question))).choices[0].message.content
        async def astream(question):
            async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
                chunks = await client.chat.completions.create(**body(question), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    """,
    "litellm": """
        def options(question):
            return {**body(question), "model": "openai/m", "api_base": URL, "api_key": KEY}
        def ask(question):
            import litellm
            return litellm.completion(**options(question)).choices[0].message.content
        def stream(question):
            import litellm
            chunks = litellm.completion(**options(question), stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        async def aask(question):
            import litellm
            return (await litellm.acompletion(**options(question))).choices[0].message.content
        async def astream(question):
            import litellm
            chunks = await litellm.acompletion(**options(question), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    """,
    "dspy": """
        def ask(question):
            import dspy
            with dspy.context(lm=dspy.LM("openai/m", api_base=URL, api_key=KEY)):
                return dspy.Predict("question -> answer")(question=question).answer
        async def aask(question):
            import dspy
            with dspy.context(lm=dspy.LM("openai/m", api_base=URL, api_key=KEY)):
                return (await dspy.Predict("question -> answer").acall(question=question)).answer
    """,
}


def said(request):
    """Answer with the last word of the question, in DSPy's format where its prompt asks for it."""
    content = request["messages"][-1]["content"]
    if "[[ ## question ## ]]" in content:
        word = content.partition("[[ ## question ## ]]")[2].strip().partition("\n")[0].split()[-1]
        return f"[[ ## answer ## ]]\n{word}\n\n[[ ## completed ## ]]"
    return content.split()[-1]


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}
