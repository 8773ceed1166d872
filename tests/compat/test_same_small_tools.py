"""What DSPy's users take from it beside programs: the same in DSPy and in ours."""

import datetime as dt
import enum
import functools
import http.server
import json
import threading
import urllib.parse
from typing import Literal

import pytest
from both import module, uses

use, USES = uses()


@use
def lists(dspy):
    tools = module(dspy, "dsp.utils")
    kept = tools.dotdict(a=1)
    kept.b = 2
    del kept.a
    rows = [("x", 1), ("x", 2, 3), ("y", 4)]
    return (
        (kept, kept.b, tools.dotdict_lax(a=1).missing, hasattr(kept, "missing")),
        tools.deduplicate(["b", "a", "b"]),
        tools.flatten([[1], [2, 3]]),
        list(tools.batch([1, 2, 3], 2)),
        list(tools.batch([1, 2, 3], 2, provide_offset=True)),
        list(tools.grouper("abc", 2, "-")),
        tools.zipstar([(1, 2), (3, 4)]),
        tools.zip_first([1], "a"),
        [tools.int_or_float("1.5"), tools.int_or_float("2")],
        list(tools.lengths2offsets([1, 2])),
        dict(tools.groupby_first_item(rows)),
        list(tools.process_grouped_by_first_item(rows))[:1],  # DSPy's lacks the last group
        tools.print_message("kept", 1, condition=False).partition("] ")[2],
        len(tools.timestamp()),
    )


@use
def answers_in_texts(dspy):
    tools = module(dspy, "dsp.utils")
    text = "Zoë's 2nd visit to Łódź, in 1999."
    wanted = [tools.DPR_normalize("łódź"), tools.DPR_normalize("in 1999")]
    tokens = tools.DPR_tokenize(text)
    return (
        tools.DPR_normalize(text),
        tools.has_answer(wanted, text),
        tools.has_answer([["lodz"]], text),
        tools.locate_answers([tools.DPR_tokenize("in 1999"), tools.DPR_tokenize("visit")], text),
        tools.strip_accents("Zoë"),
        (len(tokens), tokens.slice(1, 3).words(), tokens.untokenize(), tokens.ngrams(2)[:3], tokens.offsets()[:2]),
        tools.DPR_normalize(" \t"),
    )


class Part:
    def __init__(self):
        self.items = [{"name": "first"}, {"name": "last"}]


@use
def attributes_by_path(dspy):
    magicattr = module(dspy, "utils.magicattr")
    whole = Part()
    whole.part = Part()
    magicattr.set(whole, "part.items[0]['name']", "changed")
    magicattr.set(whole, "part.more", 1)
    magicattr.delete(whole, "items[-1]")
    return (
        magicattr.get(whole, "part.items[0]['name']"),
        magicattr.get(whole, "part.items[-1]['name']"),
        magicattr.get(whole, "part.missing.more", default="none"),
        whole.part.more,
        len(whole.items),
        magicattr.lookup(whole, "part.items[0]")[1:],
        refuses(magicattr.get, whole, "part.items.pop()"),
        refuses(magicattr.get, whole, "part.missing"),
    )


def refuses(function, *args):
    try:
        function(*args)
    except (ValueError, AttributeError) as error:
        return type(error)
    return None


@use
def many_items(dspy):
    make = functools.partial(
        module(dspy, "utils.parallelizer").ParallelExecutor, num_threads=2, disable_progress_bar=True
    )

    def half(number):
        if number % 2:
            raise ValueError(number)
        return number // 2, dspy.settings.max_errors

    executor = make(max_errors=2)
    with dspy.context(max_errors=7):
        results = executor.execute(half, [2, 3, 4])
    return results, executor.failed_indices, list(map(str, executor.exceptions_map.values())), fails(make, half)


def fails(make, function):
    try:
        make(max_errors=2).execute(function, [1, 3, 5])
    except Exception as error:  # noqa: BLE001  DSPy raises Exception itself
        return "ancelled" in str(error) or "failed" in str(error)
    return False


@use
def single_calls_in_batches(dspy):
    together, seen = threading.Barrier(3), []

    def batch(items):
        seen.append(len(items))
        return [item * 2 for item in items]

    def call(unbatched, item, results):
        together.wait()
        results[item] = unbatched(item)

    with module(dspy, "utils.unbatchify").Unbatchify(batch, max_batch_size=3, max_wait_time=5) as unbatched:
        results = {}
        threads = [threading.Thread(target=call, args=(unbatched, item, results)) for item in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sorted(results.items()), seen


@use
def a_mark_in_docstrings(dspy):
    @module(dspy, "utils").experimental(version="9.9")
    def documented():
        """Do it."""

    return "Do it." in documented.__doc__, "9.9" in documented.__doc__, documented.__name__


@use
def no_signature_is_none(dspy):
    return dspy.ensure_signature(None)


@use
def the_schema_of_a_signature(dspy):
    class Ask(dspy.Signature):
        """Answer."""

        question: str = dspy.InputField(desc="what is asked")
        limit: int = dspy.InputField(default=3)
        answer: list[str] = dspy.OutputField()

    return Ask.model_json_schema()


@use
def what_a_retriever_says_of_itself(dspy):
    retrieve = dspy.Retrieve(k=4)
    return retrieve.name, retrieve.input_variable, bool(retrieve.desc), dspy.Retrieve.name, retrieve.k


@use
def an_adapters_arguments_by_position(dspy):
    class Own(dspy.Adapter):
        def __init__(self, prefix):
            super().__init__([], True, None, False)  # noqa: FBT003  as users write it
            self.prefix = prefix

    own = Own("p")
    chat = dspy.ChatAdapter(None, True, None, False, parallel_tool_calls=True)  # noqa: FBT003  as users write it
    default = dspy.ChatAdapter()
    default.callbacks.append(module(dspy, "utils").BaseCallback())
    return (
        (own.prefix, own.use_native_function_calling, own.parallel_tool_calls),
        (chat.use_native_function_calling, chat.use_json_adapter_fallback, chat.parallel_tool_calls),
        (len(default.callbacks), len(dspy.ChatAdapter().callbacks)),
    )


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@use
def what_adapters_of_users_own_write_and_read_with(dspy):
    tools = module(dspy, "adapters.utils")
    fields = dspy.Signature("texts: str, n: int -> found: list[int], done: bool").fields
    return (
        [tools.parse_value(text, kind) for text, kind in [("[1, 2]", list[int]), ("3", int), (7, str), ("True", bool)]],
        [
            tools.parse_value(text, kind)
            for text, kind in [("red", Colour), ("'a'", Literal["a", "b"]), (None, int | None)]
        ],
        refuses(tools.parse_value, "many", int),
        [tools.format_field_value(fields["texts"], value) for value in ("t", ["x"], ["x", "y\nz"], {"a": 1}, [])],
        tools.format_field_value(fields["n"], [1, 2], assume_text=False),
        [tools.get_annotation_name(kind) for kind in (int, list[int], dict[str, int], Literal["a", "b"])],
        tools.serialize_for_json({"on": dt.date(2024, 1, 2)}),
        tools.get_field_description_string({"n": fields["n"]}),
        [module(dspy, "signatures.utils").get_dspy_field_type(field) for field in fields.values()],
        [tools.find_enum_member(Colour, name) for name in ("red", "BLUE")],
        refuses(tools.find_enum_member, Colour, "green"),
        tools.translate_field_type("n", fields["n"]),
        tools.translate_field_type("done", fields["done"]).split()[:2],
    )


@use
def arguments_for_training(dspy):
    lm = dspy.LM("openai/m", finetuning_model="f", train_kwargs={"epochs": 1}, use_developer_role=True)
    other = lm.copy(temperature=0.5)
    plain = dspy.LM("openai/m")
    return (
        (lm.finetuning_model, lm.train_kwargs, lm.launch_kwargs, lm.use_developer_role),
        (other.finetuning_model, other.train_kwargs),
        (plain.finetuning_model, plain.launch_kwargs, plain.use_developer_role),
        [name for name in lm.kwargs if name not in ("temperature", "max_tokens")],
    )


@use
def an_lms_arguments_by_position(dspy):
    class Own(dspy.BaseLM):
        def __init__(self, model):
            super().__init__(model, "chat", 0.5, 100, False, None, 7, top_p=0.1)  # noqa: FBT003  as users write it

    lm = Own("m")
    lm.callbacks.append(module(dspy, "utils").BaseCallback())
    other = lm.copy(temperature=1.0, cache=True)
    return (
        (lm.model, lm.model_type, lm.kwargs, lm.cache, lm.num_retries, len(lm.callbacks)),
        (other.kwargs, other.cache, other.num_retries, lm.cache),
    )


@use
def forward_adds_the_defaults_itself(dspy):
    sent = []

    def create(*, model, messages, **options):
        sent.append((model, messages, options))
        return dspy_reply(dspy, "[[ ## a ## ]]\nyes")

    class Own(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            messages = messages or [{"role": "user", "content": prompt}]
            return create(model=self.model, messages=messages, **self.kwargs, **kwargs)

    lm = Own("m", temperature=0.5, max_tokens=9)
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        answer = dspy.Predict("q -> a", top_p=0.1)(q="1").a
    lm("hi", stop="x")
    return answer, [(model, len(messages), options) for model, messages, options in sent]


def dspy_reply(dspy, text):
    """A chat completion as an object, as both take it."""
    utils = module(dspy, "dsp.utils")
    message = utils.dotdict(content=text, tool_calls=None)
    return utils.dotdict(choices=[utils.dotdict(message=message, finish_reason="stop")], usage={}, model="m")


@pytest.mark.parametrize("use", USES)
def test_the_same_in_dspy_and_in_ours(real, ours, use):
    theirs, mine = use(real), use(ours)

    assert mine == theirs


class Search(http.server.BaseHTTPRequestHandler):
    """A server as ColBERTv2's: GET with a query, or POST with JSON."""

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.answer({"query": query["query"][0], "k": int(query["k"][0])})

    def do_POST(self):
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_HEAD(self):
        self.answer({"query": "file", "k": 1})

    def answer(self, asked):
        found = [{"text": f"{asked['query']} {n}", "long_text": f"{asked['query']} {n}", "pid": n} for n in range(9)]
        reply = {"error": True, "message": "no such index"} if asked["query"] == "broken" else {"topk": found}
        body = json.dumps(reply).encode()
        self.server.asked.append(asked["query"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def search_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Search) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_posted", [False, True])
def test_a_search_server_answers_either_client_with_the_same_passages(real, ours, search_server, is_posted):
    port = search_server.server_address[1]

    def search(dspy):
        rm = dspy.ColBERTv2("http://127.0.0.1", port, post_requests=is_posted)
        found = rm(f"{dspy.__name__} cats & dogs", k=2)
        with dspy.context(rm=rm):
            passages = dspy.Retrieve(k=3)(f"{dspy.__name__} birds").passages
        again = rm(f"{dspy.__name__} cats & dogs", k=2)
        return (
            [(one.pid, one["pid"], one.long_text.removeprefix(dspy.__name__)) for one in found],
            again == found,
            [text.removeprefix(dspy.__name__) for text in passages],
        )

    assert search(ours) == search(real)
    assert search_server.asked.count("dspex_core cats & dogs") == 1, "the second time it comes from the cache"


@pytest.mark.parametrize("library", ["real", "ours"])
def test_an_error_of_the_search_server_is_a_value_error(request, search_server, library):
    dspy = request.getfixturevalue(library)
    rm = dspy.ColBERTv2(f"http://127.0.0.1:{search_server.server_address[1]}/api")

    with pytest.raises(ValueError, match="no such index"):
        rm("broken")


def test_a_download_is_kept_under_its_name(ours, search_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = f"http://127.0.0.1:{search_server.server_address[1]}"

    ours.utils.download(f"{address}/data/pages%20of%20it.json?query=x&k=1")

    assert [path.name for path in tmp_path.iterdir()] == ["pages of it.json"]
    assert json.loads((tmp_path / "pages of it.json").read_text())["topk"][0]["text"] == "x 0"
    for name in ("", "..", "%2e%2e", "a%2Fb"):
        with pytest.raises(ValueError, match="names no file"):
            ours.utils.download(f"{address}/{name}?query=x&k=1")
