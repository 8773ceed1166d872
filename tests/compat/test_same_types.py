"""Types of fields answer alike in DSPy and in ours: code of users, run with either."""

import base64
import importlib
from typing import Any, Literal

import numpy as np
import pydantic
import pytest
from both import chat, in_real, refused, scripted, uses

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
WAV = base64.b64encode(b"RIFF0000WAVEfmt ").decode()

use, USES = uses()


def citations(dspy):
    return dspy.Citations if hasattr(dspy, "Citations") else dspy.experimental.Citations


def document(dspy):
    return dspy.Document if hasattr(dspy, "Document") else dspy.experimental.Document


def an_event(dspy):
    class Event(dspy.Type):
        name: str
        place: str = "here"

        def format(self):
            return f"{self.name} at {self.place}"

        @classmethod
        def description(cls):
            return "An event has a name."

    return Event


@use
def descriptions(dspy):
    return an_event(dspy).description(), dspy.Type.description(), isinstance(dspy.Code["sql"].description(), str)


@use
def a_description_reaches_the_prompt(dspy):
    event = an_event(dspy)
    asked = dspy.Signature({"event": (event, dspy.InputField()), "answer": (str, dspy.OutputField())})
    messages = dspy.ChatAdapter().format(asked, [], {"event": event(name="fair")})
    return "An event has a name." in messages[0]["content"], "fair at here" in str(messages[-1]["content"])


@use
def types_in_an_annotation(dspy):
    event = an_event(dspy)
    found = dspy.Type.extract_custom_type_from_annotation
    return [
        found(event) == [event],
        found(list[event]) == [event],
        found(event | None) == [event],
        found(dict[str, list[event]]) == [event],
        found(tuple[event, dspy.Image]) == [event, dspy.Image],
        found(list[str]),
        found(str),
        found(Literal["a"]),
        found(Any),
    ]


@use
def one_that_the_user_makes_is_dumped(dspy):
    event = an_event(dspy)(name="fair")
    return event.format(), "fair at here" in str(event.serialize_model())


@use
def formats_of_an_image(dspy):
    return (
        dspy.Image(f"data:image/png;base64,{PNG}").format(),
        dspy.Image("https://example.com/a.png").format(),
        dspy.Image(url="https://example.com/a.png").format()[0]["image_url"]["url"],
    )


@use
def formats_of_an_audio(dspy):
    return dspy.Audio(data=WAV, audio_format="wav").format(), dspy.Audio(f"data:audio/wav;base64,{WAV}").format()


@use
def formats_of_a_file(dspy):
    return (
        dspy.File(file_data=f"data:text/plain;base64,{PNG}", filename="a.txt").format(),
        dspy.File(file_id="file-1").format()[0]["file"]["file_id"],
        dspy.File.from_bytes(b"abc", filename="b.bin").format(),
        dspy.File.from_file_id("file-2", filename="c.pdf").format(),
    )


@use
def a_file_of_a_path(dspy, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    made = dspy.File.from_path(str(tmp_path / "a.txt"))
    missing = refused(lambda: dspy.File.from_path(str(tmp_path / "no.txt")), ValueError)
    return made.filename, made.file_data, missing


@use
def an_image_of_a_path(dspy, tmp_path):
    (tmp_path / "a.png").write_bytes(base64.b64decode(PNG))
    return (
        dspy.Image.from_path(str(tmp_path / "a.png")).url,
        refused(lambda: dspy.Image(str(tmp_path / "a.png")), ValueError),
        refused(lambda: dspy.Image(url=str(tmp_path / "a.png")), ValueError),
        refused(lambda: dspy.Image.from_path(str(tmp_path / "no.png")), ValueError),
    )


@use
def an_audio_of_a_path(dspy, tmp_path):
    (tmp_path / "a.wav").write_bytes(base64.b64decode(WAV))
    made = dspy.Audio.from_path(str(tmp_path / "a.wav"))
    missing = refused(lambda: dspy.Audio.from_path(str(tmp_path / "no.wav")), ValueError)
    return made.audio_format, made.data, missing


@use
def two_sources_at_once(dspy):
    url = "https://example.com/a.png"
    return (
        refused(lambda: dspy.Image(url, url=url), TypeError),
        refused(lambda: dspy.Code("x", code="x"), TypeError),
        refused(lambda: document(dspy)("x", data="x"), TypeError),
        refused(lambda: dspy.Audio(f"data:audio/wav;base64,{WAV}", data=WAV), TypeError),
        refused(
            lambda: dspy.File(f"data:text/plain;base64,{PNG}", file_data=f"data:text/plain;base64,{PNG}"), TypeError
        ),
        refused(lambda: dspy.Image(url, url), TypeError),
    )


@use
def the_rate_of_an_array(dspy):
    samples = np.zeros(8, dtype=np.float32)
    return (
        refused(lambda: dspy.Audio(samples), ValueError, TypeError),
        refused(lambda: dspy.Audio(samples, sampling_rate=16000), ValueError, TypeError),
        refused(lambda: dspy.Audio(data=WAV, audio_format="wav", sampling_rate=16000), ValueError, TypeError),
        refused(lambda: dspy.Audio(f"data:audio/wav;base64,{WAV}", sampling_rate=16000), ValueError, TypeError),
    )


@use
def images_in_words(dspy):
    return "example.com" in str(dspy.Image("https://example.com/a.png")), len(
        repr(dspy.Image(f"data:image/png;base64,{PNG * 99}"))
    ) < 200


@use
def equal_images(dspy):
    one, other = dspy.Image("https://example.com/a.png"), dspy.Image(url="https://example.com/a.png")
    return one == other, hash(one) == hash(other), refused(lambda: setattr(one, "url", "x"), pydantic.ValidationError)


@use
def reasoning_is_text(dspy):
    made = dspy.Reasoning(content="First, then.")
    return (
        str(made),
        made == "First, then.",
        made == dspy.Reasoning(content="First, then."),
        "then" in made,
        made.split(),
        made.upper(),
        made.startswith("First"),
        made.replace("First", "Once"),
        len(made),
        made[0],
        made[:5],
        list(iter(made))[:2],
        f"{made}",
        made.strip("."),
        made.content,
        made.format(),
    )


@use
def reasoning_and_text(dspy):
    made = dspy.Reasoning(content="a")
    both = made + dspy.Reasoning(content="c")
    return made + "b", "b" + made, both, isinstance(both, dspy.Reasoning), both.content


@use
def reasoning_with_its_other_methods(dspy):
    made = dspy.Reasoning(content="a b")
    return made.title(), made.count("a"), made.find("b"), made.encode(), ", ".join([str(made), "c"])


@use
def citations_of_dicts(dspy):
    kind = citations(dspy)
    rows = [
        {"cited_text": "The sky is blue.", "document_index": 0, "start_char_index": 0, "end_char_index": 16},
        {
            "cited_text": "Water.",
            "document_index": 1,
            "document_title": "Sea",
            "start_char_index": 3,
            "end_char_index": 9,
            "supported_text": "wet",
        },
    ]
    made = kind.from_dict_list(rows)
    return (
        len(made),
        made[1].document_title,
        [each.cited_text for each in made],
        made.format(),
        made[0].format(),
        isinstance(made[0], kind.Citation),
        kind(citations=[made[0]])[0] == made[0],
        isinstance(kind.description(), str),
        refused(lambda: kind.from_dict_list([{"cited_text": "no place"}]), Exception),
    )


@use
def the_type_of_a_citation(dspy):
    made = citations(dspy).Citation(cited_text="a", document_index=0, start_char_index=0, end_char_index=1)
    return made.type, made.document_title, made.supported_text, made.format()


@use
def documents(dspy):
    kind = document(dspy)
    made = kind(data="The sky is blue.", title="Sky")
    return (
        made.data,
        made.title,
        made.media_type,
        made.context,
        kind(data="Text").data,
        isinstance(kind.description(), str),
    )


@use
def code_in_a_language(dspy):
    kind = dspy.Code["java"]
    made = kind(code="int x;")
    return (
        made.code,
        kind.language,
        dspy.Code.language,
        dspy.Code["Python"].language,
    )


@use
def an_output_of_code(dspy):
    asked = dspy.Signature({"task": (str, dspy.InputField()), "code": (dspy.Code["java"], dspy.OutputField())})
    with dspy.context(lm=scripted(dspy, [chat(code="```java\nint x;\n```")]), adapter=dspy.ChatAdapter()):
        return dspy.Predict(asked)(task="?").code.code


@use
def tool_calls_of_dicts(dspy):
    made = dspy.ToolCalls.from_dict_list([{"name": "add", "args": {"a": 1}}, {"name": "sub", "args": {}}])
    return (
        [(call.name, call.args) for call in made.tool_calls],
        made.tool_calls[0].name,
        isinstance(dspy.ToolCalls.description(), str),
    )


@use
def tool_calls_of_anything(dspy):
    kind, call = dspy.ToolCalls, dspy.ToolCalls.ToolCall
    return (
        kind(tool_calls=[call(name="a", args={})]).tool_calls[0].name,
        kind.model_validate([{"name": "a", "args": {"x": 1}}]).tool_calls[0].args,
        kind.model_validate({"name": "a", "args": {"x": 1}}).tool_calls[0].args,
        refused(lambda: kind.model_validate("no"), ValueError),
    )


def twice(x):
    return 2 * x


@use
def the_execution_of_a_call(dspy):
    call = dspy.ToolCalls.ToolCall(name="twice", args={"x": 4})
    tool = dspy.Tool(twice)
    return (
        call.execute(functions={"twice": twice}),
        call.execute(functions=[tool]),
        call.execute({"twice": twice}),
        refused(lambda: call.execute(functions={}), ValueError),
        refused(lambda: dspy.ToolCalls.ToolCall(name="unheard", args={}).execute(), ValueError),
        refused(lambda: dspy.ToolCalls.ToolCall(name="twice", args={"y": 1}).execute(functions=[tool]), Exception),
    )


@use
def a_history(dspy):
    made = dspy.History(messages=[{"question": "q", "answer": "a"}])
    more = dspy.History(messages=[*made.messages, {"question": "r", "answer": "b"}])
    return (
        len(more.messages),
        made.model_dump(),
        made == dspy.History(messages=[{"question": "q", "answer": "a"}]),
        refused(lambda: dspy.History(rows=[]), ValueError),
        refused(lambda: setattr(made, "messages", []), ValueError),
        dspy.History.model_validate({"messages": []}).messages,
    )


@use
def an_image_of_pillow(dspy):
    pillow = pytest.importorskip("PIL.Image")
    made = dspy.Image(pillow.new("RGB", (2, 2)))
    return made.url[:22], dspy.Image.from_PIL(pillow.new("RGB", (2, 2))).url == made.url


@use
def old_names_of_functions(dspy):
    found = importlib.import_module(f"{dspy.Image.__module__}")
    made = dspy.Image("https://example.com/a.png")
    return (
        found.encode_image("https://example.com/a.png"),
        found.encode_image(made) if not isinstance(made, dict) else None,
        found.is_image("https://example.com/a.png"),
        found.is_image(f"data:image/png;base64,{PNG}"),
        found.encode_image(f"data:image/png;base64,{PNG}"),
    )


@use
def whether_it_streams(dspy):
    return dspy.Type.is_streamable(), dspy.Reasoning.is_streamable(), an_event(dspy).is_streamable()


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use, tmp_path):
    given = {"tmp_path": tmp_path} if "tmp_path" in use.__code__.co_varnames[: use.__code__.co_argcount] else {}

    assert use(ours, **given) == in_real(use, real, **given)
