"""The types of fields beyond text and data: what they take, and that they open nothing."""

import base64
import copy
import http.server
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import dspex_core as dspy
from dspex_core.messages import MediaPart

PNG = b"\x89PNG\r\n\x1a\n and the rest"
PNG_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
WAV_URI = "data:audio/wav;base64,UklGRg=="


def read_as(type_, value):
    """Read a value as one that a model or a file of data has supplied."""
    return TypeAdapter(type_).validate_python(value)


def stored(type_, value):
    """Return a value after a round trip through JSON."""
    adapter = TypeAdapter(type_)
    return adapter.validate_json(adapter.dump_json(value))


@pytest.fixture
def sealed(monkeypatch):
    """Fail at any file that is opened and any connection that is made."""

    def refuse(*arguments, **_):
        pytest.fail(f"opened {arguments!r}")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def site():
    """A web server with a picture at /a.png, a redirect to it, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status = {"/a.png": 200, "/typed": 200, "/moved.png": 302}.get(self.path, 404)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/a.png")
            if self.path == "/typed":
                self.send_header("Content-Type", "audio/x-wav; charset=binary")
            self.send_header("Content-Length", str(len(PNG) if status == 200 else 0))
            self.end_headers()
            self.wfile.write(PNG if status == 200 else b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class TestImage:
    @pytest.mark.parametrize("url", ["https://a.org/b.png", "http://a.org", "gs://bucket/b.png", PNG_URI])
    def test_it_keeps_a_url_or_a_data_uri(self, url):
        image = dspy.Image(url)
        assert image.url == url
        assert image == dspy.Image(url=url) == read_as(dspy.Image, url) == read_as(dspy.Image, {"url": url})
        assert stored(dspy.Image, image) == image

    def test_its_format_is_told_by_its_bytes(self):
        assert dspy.Image(PNG).url == dspy.Image.from_bytes(PNG).url == PNG_URI
        assert dspy.Image(b"RIFF....WEBPVP8 ").url.startswith("data:image/webp;")
        assert dspy.Image.from_bytes(b"<svg/>", "image/svg+xml").url.startswith("data:image/svg+xml;")
        with pytest.raises(ValueError, match="unknown format"):
            dspy.Image(b"hello")

    def test_a_file_is_read_when_a_program_says_so(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(PNG)
        assert dspy.Image.from_path(path) == dspy.Image.from_file(str(path)) == dspy.Image(PNG_URI)
        with pytest.raises(OSError, match="missing"):
            dspy.Image.from_path(tmp_path / "missing.png")
        with pytest.raises(ValueError, match="no known media type"):
            dspy.File.from_path(path.rename(tmp_path / "nameless"))

    def test_a_url_is_downloaded_when_a_program_says_so(self, site):
        assert dspy.Image.from_url(f"{site}/a.png") == dspy.Image.from_url(f"{site}/moved.png") == dspy.Image(PNG_URI)
        with pytest.raises(ValueError, match="status 404"):
            dspy.Image.from_url(f"{site}/missing.png")
        with pytest.raises(ValueError, match="not an http or https URL"):
            dspy.Image.from_url("file:///etc/passwd")

    def test_a_server_that_does_not_answer_is_an_error_of_transport(self, site):
        port = int(site.rpartition(":")[2])
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(OSError, match="cannot be downloaded"):
                dspy.Image.from_url(site.replace(str(port), str(taken.getsockname()[1])))

    def test_a_picture_of_pillow_is_encoded_in_its_format(self):
        class Picture:  # what is used of one
            format = None

            def save(self, fp, format=None):  # noqa: A002  Pillow's name
                fp.write(PNG + format.encode())

        assert base64.b64decode(dspy.Image(Picture()).url.partition(",")[2]) == PNG + b"PNG"
        with pytest.raises(ValueError, match="not int"):
            dspy.Image(5)

    def test_data_is_not_shown_in_full(self):
        assert repr(dspy.Image("https://a.org/b.png")) == "Image('https://a.org/b.png')"
        assert len(repr(dspy.Image(PNG * 1000))) < 100


HOSTILE = ["/etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa", "..", "", "http://", "ftp://a.org/b", "//a.org/b"]
NOT_DATA = ["data:", "data:,x", "data:image/png,x", "data:image/png;base64,***", "data:text/html;base64,eA=="]


@pytest.mark.parametrize("value", [*HOSTILE, *NOT_DATA, {"url": "/etc/passwd"}, {"url": PNG_URI, "download": True}, 5])
def test_what_is_no_image_is_refused_and_never_opened(value, sealed):
    with pytest.raises(ValidationError):
        read_as(dspy.Image, value)


@pytest.mark.parametrize("type_", [dspy.Audio, dspy.File])
@pytest.mark.parametrize(
    "value", [*HOSTILE, *NOT_DATA[:-1], "http://169.254.169.254/a.wav", {"filename": "/etc/passwd"}]
)
def test_what_is_no_sound_or_file_is_refused_and_never_opened(type_, value, sealed):
    with pytest.raises(ValidationError):
        read_as(type_, value)


@given(
    st.text() | st.sampled_from(["http", "https", "data", "file"]).flatmap(lambda a: st.text().map(f"{a}:{{}}".format))
)
def test_any_text_is_an_image_or_a_validation_error(text):
    try:
        image = read_as(dspy.Image, text)
    except ValidationError:
        return
    assert read_as(dspy.Image, image.url) == image


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()])
def test_an_image_that_a_model_writes_is_data_and_is_not_fetched(adapter, sealed):
    signature = dspy.Signature("q -> image: Image")
    for url in ("http://169.254.169.254/secret", PNG_URI):
        written = adapter.assistant(signature, {"image": dspy.Image(url)}).content
        assert adapter.parse(signature, written) == {"image": dspy.Image(url)}
    written = adapter.assistant(signature, {"image": "/etc/passwd"}).content
    with pytest.raises(dspy.AdapterParseError, match="not a URL"):
        adapter.parse(signature, written)


class TestAudio:
    def test_it_is_made_of_bytes_of_a_data_uri_or_of_base64(self):
        audio = dspy.Audio(b"RIFF")
        assert (
            audio
            == dspy.Audio(WAV_URI)
            == dspy.Audio(data="UklGRg==", audio_format="wav")
            == read_as(dspy.Audio, WAV_URI)
        )
        assert dspy.Audio(b"RIFF", audio_format="mp3").audio_format == "mp3"
        assert stored(dspy.Audio, audio) == audio

    def test_its_format_is_the_name_that_apis_know(self):
        assert dspy.Audio(WAV_URI.replace("wav", "mpeg")).audio_format == "mp3"
        assert dspy.Audio(WAV_URI.replace("wav", "x-wav")).audio_format == "wav"

    def test_it_is_read_or_downloaded_when_a_program_says_so(self, tmp_path, site):
        path = tmp_path / "a.mp3"
        path.write_bytes(b"ID3")
        assert dspy.Audio.from_path(path) == dspy.Audio(b"ID3", audio_format="mp3")
        assert dspy.Audio.from_url(f"{site}/typed").audio_format == "wav"
        with pytest.raises(ValueError, match="'image/png'"):
            dspy.Audio.from_url(f"{site}/a.png")

    def test_its_data_is_not_shown(self):
        assert repr(dspy.Audio(WAV_URI)) == str(dspy.Audio(WAV_URI)) == "Audio(<8 characters>, audio_format='wav')"


class TestFile:
    def test_it_is_made_of_bytes_a_data_uri_or_an_id(self):
        file = dspy.File.from_bytes(b"x", "a.txt", "text/plain")
        assert file.file_data == "data:text/plain;base64,eA=="
        assert dspy.File(b"x") == dspy.File("data:application/octet-stream;base64,eA==")
        assert dspy.File.from_file_id("file-1").file_id == "file-1"
        assert stored(dspy.File, file) == file
        assert "eA==" not in repr(file)

    def test_it_is_read_when_a_program_says_so(self, tmp_path):
        path = tmp_path / "a.pdf"
        path.write_bytes(b"%PDF")
        file = dspy.File.from_path(path)
        assert (file.filename, file.file_data) == ("a.pdf", "data:application/pdf;base64,JVBERg==")

    def test_one_part_holds_what_it_has(self):
        assert dspy.File.from_file_id("file-1").format() == [{"type": "file", "file": {"file_id": "file-1"}}]


codes = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))
fenced_codes = st.lists(codes | st.sampled_from(["```", "````", "```python", "\n", " ```"])).map("\n".join)


class TestCode:
    @given(fenced_codes)
    def test_what_a_prompt_and_a_file_hold_reads_as_the_same_code(self, text):
        code = dspy.Code(code=text)
        assert read_as(dspy.Code, code.format()) == code
        assert stored(dspy.Code, code) == code

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("x = 1", "x = 1"),
            ("```python\nx = 1\n```", "x = 1"),
            ("Here it is:\n\n```python\nx = 1\n\ny = 2\n```\nEnjoy!\n```\nz\n```", "x = 1\n\ny = 2"),
            ("```x = 1```", "x = 1"),
            ("````md\n```\nx\n```\n````", "```\nx\n```"),
            ("```python\nx = 1", "```python\nx = 1"),
            ("```\n```", ""),
        ],
    )
    def test_the_first_fenced_block_is_the_code(self, text, code):
        assert read_as(dspy.Code, text).code == dspy.Code(text).code == code
        assert dspy.Code(code=text).code == text

    def test_a_language_is_a_type_of_its_own(self):
        java = dspy.Code["java"]
        assert java is dspy.Code["java"]
        assert (java.language, dspy.Code.language) == ("java", "python")
        assert java("int x;").format() == "```java\nint x;\n```"
        assert read_as(java, dspy.Code("int x;")) == java("int x;")
        with pytest.raises(TypeError, match="write the language"):
            dspy.Code["no language"]

    @pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()])
    @pytest.mark.parametrize("text", ["1", '"x"', '{"code": "x"}', "def f(a):\n    return a < 2 & 1", "[1]"])
    def test_code_is_never_taken_for_data(self, adapter, text):
        signature = dspy.Signature("q -> code: Code['python'], n: int")
        written = adapter.assistant(signature, {"code": dspy.Code(code=text), "n": 1}).content
        assert adapter.parse(signature, written)["code"] == dspy.Code["python"](code=text)

    def test_its_language_is_said_in_the_prompt(self):
        assert "(java code)" in dspy.ChatAdapter().system(dspy.Signature("q -> code: Code['java']"))

    def test_many_opened_fences_are_read_at_once(self):
        text = "```a\n" * 200_000
        assert read_as(dspy.Code, text).code == text


class TestReasoning:
    def test_it_is_a_text(self):
        reasoning = dspy.Reasoning(content="two and two")
        assert reasoning == "two and two"
        assert reasoning.content == str(reasoning) == f"{reasoning}" == "two and two"
        assert dspy.Reasoning("a {}").format("b") == "a b"
        assert copy.deepcopy(reasoning) == reasoning
        assert isinstance(stored(dspy.Reasoning, reasoning), dspy.Reasoning)
        assert read_as(dspy.Reasoning, {"content": "x"}) == "x"


class TestDocumentAndCitations:
    def test_a_document_is_text_under_its_title(self):
        assert dspy.Document("The sky is blue.").format() == "The sky is blue."
        document = dspy.Document("The sky is blue.", title="Sky", context="physics")
        assert document.format() == "Title: Sky\nContext: physics\nThe sky is blue."
        assert read_as(dspy.Document, "x") == dspy.Document("x") == stored(dspy.Document, dspy.Document("x"))

    def test_a_pdf_is_a_file(self):
        pdf = dspy.Document("JVBERg==", title="P", media_type="application/pdf")
        part = MediaPart("file", {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "P"})
        assert pdf.format() == [{"type": "text", "text": "Title: P\n"}, part]

    def test_citations_are_a_list_of_passages(self):
        passage = {"cited_text": "blue", "document_index": 0}
        citations = read_as(dspy.Citations, [passage])
        assert citations == dspy.Citations(citations=[passage]) == stored(dspy.Citations, citations)
        assert [citation.cited_text for citation in citations] == ["blue"]
        assert (len(citations), citations[0].document_index) == (1, 0)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("Image", dspy.Image),
        ("dspy.Image", dspy.Image),
        ("dspex_core.Audio", dspy.Audio),
        ("list[dspy.File]", list[dspy.File]),
        ("Code", dspy.Code),
        ("dspy.Code['java']", dspy.Code["java"]),
        ("History", dspy.History),
        ("Reasoning", dspy.Reasoning),
        ("Document", dspy.Document),
        ("Citations", dspy.Citations),
    ],
)
def test_strings_know_the_types_by_name(text, type_):
    assert dspy.Signature(f"field: {text} -> y").fields["field"].annotation == type_
    assert dspy.Signature(f"x -> field: {text}").fields["field"].annotation == type_


def test_a_type_of_the_users_own_takes_precedence():
    class Image:
        pass

    assert dspy.Signature("image: Image -> y", types={"Image": Image}).fields["image"].annotation is Image


def test_a_type_that_takes_no_parameter_is_an_error_of_the_signature():
    with pytest.raises(dspy.SignatureError, match="does not take the parameter"):
        dspy.Signature("image: Image['png'] -> y")
