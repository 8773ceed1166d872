"""Credentials of every kind, which no cassette may hold."""

import json
import textwrap

import pytest
from http_projects import LIBRARIES, PROJECT, outcomes
from openai_server import Reply

SECRETS = {
    "bearer": "sk-proj-Abcdef0123456789",
    "opaque": "aVeryOpaqueCredential123",
    "basic": "hunter2hunter2",
    "cookie": "sessioncookie-98765",
    "query": "queryKey-AbCdEf987654",
    "password": "urlPassw0rd-xyz",
    "field": "bodyFieldSecret-777",
    "reply": "ghp_ABCDEFGHIJKLMNOP0123456789",
    "header_of_reply": "setcookie-secret-4242",
    "organization": "org-Ab12Cd34Ef56",
}

TEST = """
    SECRETS = json.loads(os.environ["TESTED_VALUES"])

    @pytest.mark.parametrize("library", ["httpx", "requests", "urllib", "aiohttp"])
    def test_it(library):
        import base64
        headers = {
            "Authorization": "Bearer " + SECRETS["bearer"],
            "X-Api-Key": SECRETS["opaque"],
            "Proxy-Authorization": "Basic " + base64.b64encode(b"user:" + SECRETS["basic"].encode()).decode(),
            "Cookie": "session=" + SECRETS["cookie"] + "; theme=dark",
            "OpenAI-Organization": SECRETS["organization"],
            "Content-Type": "application/json",
        }
        url = URL.replace("://", "://user:" + SECRETS["password"] + "@") + "/chat/completions?key=" + SECRETS["query"]
        said = "my keys: " + ", ".join(SECRETS.values())
        data = json.dumps(body(said, api_key=SECRETS["field"], metadata={"client_secret": SECRETS["field"]}))
        if library == "httpx":
            import httpx
            status = httpx.post(url, content=data, headers=headers).status_code
        elif library == "requests":
            import requests
            status = requests.post(url, data=data, headers=headers).status_code
        elif library == "urllib":
            import urllib.error, urllib.request
            url = url.replace("user:" + SECRETS["password"] + "@", "")
            try:
                urllib.request.urlopen(urllib.request.Request(url, data=data.encode(), headers=headers))
            except urllib.error.HTTPError as error:
                status = error.code
                error.close()
        else:
            import aiohttp
            url = url.replace("user:" + SECRETS["password"] + "@", "")
            async def ask():
                async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as reply:
                    return reply.status
            status = asyncio.run(ask())
        assert status == 400
"""


def test_no_credential_gets_into_a_cassette(project, alone, server, monkeypatch):
    error = {"error": {"message": "wrong: " + " ".join(SECRETS.values()), "access_token": SECRETS["field"]}}
    server._script = lambda body: Reply(
        status=400,
        body=error,
        headers={"Set-Cookie": f"id={SECRETS['header_of_reply']}", "X-Request-Id": SECRETS["opaque"]},
    )
    # A reply cannot quote what the request does not carry as a credential, nor what has the form of none.
    for name in ("header_of_reply", "password"):
        error["error"]["message"] = error["error"]["message"].replace(SECRETS[name], "")
    project.test("\n".join(textwrap.dedent(part) for part in (PROJECT, LIBRARIES["httpx"], TEST)))
    monkeypatch.setenv("TESTED_VALUES", json.dumps({**SECRETS, "header_of_reply": "-"}))
    recorded = alone("--dspex-record=new")
    assert outcomes(recorded) == {"passed": 4}
    stored = project.cassette("test_it").read_text()
    held = {name for name, secret in SECRETS.items() if secret in stored}
    assert held <= {"password"}, held  # urllib and aiohttp were not given it as one: there it is plain text
    for entry in project.entries("test_it"):
        assert "?key=[secret]" in entry["request"]["url"]
        assert "user" not in entry["request"]["url"]
        assert entry["request"]["body"]["api_key"] == "[secret]"
        assert entry["response"]["body"]["error"]["access_token"] == "[secret]"
        assert entry["response"]["headers"].keys() <= {"content-type"}
    server.__exit__()
    # With other credentials the requests are the same.
    others = {name: "x" + secret[1:] for name, secret in SECRETS.items()}
    others |= {name: SECRETS[name] for name in ("organization", "reply", "bearer", "password")}
    monkeypatch.setenv("TESTED_VALUES", json.dumps({**others, "header_of_reply": "-"}))
    assert outcomes(alone()) == {"passed": 4}


@pytest.mark.parametrize("library", ["httpx", "openai"])
def test_a_miss_shows_no_credential(project, alone, server, library):
    test = """
        def test_it():
            ask("Say " + KEY)
    """
    project.test("\n".join(textwrap.dedent(part) for part in (PROJECT, LIBRARIES[library], test)))
    result = alone()
    assert outcomes(result) == {"failed": 1}
    assert "5ecret5ecret" not in result.stdout.str()
