"""Signatures answer alike in DSPy and in ours: code of users, run with either."""

import enum
import importlib
from typing import Any, Literal, Optional

import pydantic
import pytest
from both import chat, in_real, outputs, refused, scripted, uses

use, USES = uses()


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Place(pydantic.BaseModel):
    name: str


def makers(dspy):
    module = importlib.import_module(dspy.Signature.__module__)
    return [
        getattr(dspy, name, None) or getattr(module, name)
        for name in ("make_signature", "infer_prefix", "ensure_signature")
    ]


def asking(dspy):
    class Asking(dspy.Signature):
        """Answer the question."""

        question: str = dspy.InputField(desc="what to answer")
        context: list[str] = dspy.InputField(default=["none"])
        answer: str = dspy.OutputField(desc="one word")
        sure: float = dspy.OutputField(ge=0, le=1)

    return Asking


@use
def instances(dspy):
    made = asking(dspy)(question="q", answer="a", sure=0.5)
    return (
        made.question,
        made.answer,
        made.sure,
        made.context,
        isinstance(made, dspy.Signature),
        made.model_dump(),
        made == asking(dspy)(question="q", answer="a", sure=0.5),
    )


@use
def instances_of_one_class_are_equal(dspy):
    kind = dspy.Signature("q -> a")
    return kind(q="a", a="b") == kind(q="a", a="b"), kind(q="a", a="b") == kind(q="a", a="c"), kind(q="x", a="y").q


@use
def instances_that_do_not_fit(dspy):
    kind = dspy.Signature("q: int -> a: int")
    return (
        refused(lambda: kind(q=1), ValueError),
        refused(lambda: kind(q="no number", a=1), ValueError),
        kind(q="1", a=2).q,
    )


@use
def equal_ones(dspy):
    one, other = dspy.Signature("q -> a", "Do."), dspy.Signature("q -> a", "Do.")
    return (
        one.equals(other),
        one == other,
        one != other,
        one.equals(dspy.Signature("q -> b", "Do.")),
        one == dspy.Signature("q -> a", "Do it."),
        one.equals(3),
        one == 3,
        one.equals(one.with_instructions("Other.")),
    )


@use
def derived_ones_are_equal(dspy):
    kind = dspy.Signature("q -> a", "Do.")
    back = kind.append("b", dspy.OutputField(), str).delete("b")
    return back == kind, kind.with_instructions("Do.") == kind, kind.with_updated_fields("q", desc="x") == kind


@use
def makes_of_a_string(dspy):
    make, _, ensure = makers(dspy)
    made = make("question -> answer", "Answer.", "Named")
    return (
        made.__name__,
        made.instructions,
        list(made.fields),
        ensure("a, b -> c").signature,
        ensure(made) is made,
        ensure("a -> b", "Do.").instructions,
        refused(lambda: ensure(made, "other"), ValueError),
    )


@use
def makes_of_fields(dspy):
    make, _, _ = makers(dspy)
    made = make({"q": (str, dspy.InputField(desc="d")), "n": (int, dspy.OutputField())}, "Count.")
    return list(made.input_fields), made.output_fields["n"].annotation, made.instructions


@use
def labels(dspy):
    _, label, _ = makers(dspy)
    names = [
        "camelCaseText",
        "snake_case_text",
        "text2number",
        "HTMLParser",
        "x",
        "answer_1",
        "someQA",
        "fooBar2Baz",
    ]
    return [label(name) for name in names]


@use
def appended_instructions(dspy):
    kind = dspy.Signature("q -> a", "Do.")
    found = [kind.append_instructions("More."), asking(dspy).append_instructions("Be brief.\n")]
    return [each.instructions for each in found], kind.instructions


@use
def words_of_fields(dspy):
    kind = asking(dspy)
    extra = [field.json_schema_extra for field in kind.fields.values()]
    return [(found["__dspy_field_type"], found["prefix"], found["desc"], found.get("constraints")) for found in extra]


@use
def what_a_field_says_before_it_is_in_a_signature(dspy):
    field = dspy.InputField(desc="d", prefix="P:")
    return (
        field.json_schema_extra["desc"],
        field.json_schema_extra["prefix"],
        field.json_schema_extra["__dspy_field_type"],
    )


@use
def words_of_changed_fields(dspy):
    fields = asking(dspy).with_updated_fields("answer", desc="two words", prefix="Reply:").fields
    return fields["answer"].json_schema_extra["desc"], fields["answer"].json_schema_extra["prefix"]


@use
def words_under_the_name_of_pydantic(dspy):
    kind = dspy.Signature({"q": (str, dspy.InputField()), "a": (str, dspy.OutputField(description="words"))})
    return kind.fields["a"].json_schema_extra["desc"]


@use
def a_reply_of_optional_outputs_only(dspy):
    kind = dspy.Signature({"q": (str, dspy.InputField()), "a": (str | None, dspy.OutputField())})
    with dspy.context(lm=scripted(dspy, ["{}", "no JSON at all"]), adapter=dspy.JSONAdapter()):
        found = dspy.Predict(kind)(q="?").a
        return found, refused(lambda: dspy.Predict(kind)(q="?"), dspy.AdapterParseError)


@use
def constraints_in_words(dspy):
    kind = dspy.Signature(
        {
            "q": (str, dspy.InputField(min_length=2, max_length=9)),
            "n": (int, dspy.OutputField(gt=0, lt=5, multiple_of=2)),
        }
    )
    found = [field.json_schema_extra["constraints"] for field in kind.fields.values()]
    return [
        all(part in text for part in parts) for text, parts in zip(found, (["2", "9"], ["0", "5", "2"]), strict=True)
    ]


@use
def formats_of_fields(dspy):
    field = dspy.InputField(format=lambda value: f"<<{value}>>")
    kind = dspy.Signature({"q": (str, field), "a": (str, dspy.OutputField())})
    messages = dspy.ChatAdapter().format(kind, [], {"q": "hello"})
    return callable(kind.input_fields["q"].json_schema_extra["format"]), "hello" in messages[-1]["content"]


@use
def defaults(dspy):
    class Kind(dspy.Signature):
        """Do."""

        a: str = dspy.InputField(default="x")
        b: list[str] = dspy.InputField(default_factory=list)
        c: str | None = dspy.InputField(default=None)
        d: str = dspy.OutputField(default="y")

    fields = Kind.fields
    return (
        fields["a"].default,
        fields["c"].default,
        fields["d"].default,
        fields["b"].default_factory(),
        fields["a"].is_required(),
        Kind(a="1").b,
    )


@use
def inputs_with_a_default_need_not_be_given(dspy):
    def make(dspy):
        class Kind(dspy.Signature):
            """Do."""

            q: str = dspy.InputField()
            hint: str = dspy.InputField(default="none at all")
            notes: list[str] = dspy.InputField(default_factory=list)
            extra: Optional[str] = dspy.InputField(default=None)  # noqa: UP045  as people write it
            a: str = dspy.OutputField()

        return dspy.Predict(Kind)

    return outputs(dspy, make, [chat(a="yes")], q="?")


@use
def optional_inputs_need_not_be_given(dspy):
    def make(dspy):
        class Kind(dspy.Signature):
            """Do."""

            q: str = dspy.InputField()
            extra: str | None = dspy.InputField()
            a: str = dspy.OutputField()

        return dspy.Predict(Kind)

    return outputs(dspy, make, [chat(a="yes")], q="?")


@use
def outputs_that_are_left_out(dspy):
    def make(dspy):
        class Kind(dspy.Signature):
            """Do."""

            q: str = dspy.InputField()
            a: str = dspy.OutputField()
            b: str | None = dspy.OutputField()
            c: Optional[int] = dspy.OutputField()  # noqa: UP045  as people write it
            d: str = dspy.OutputField(default="d")
            e: list[str] = dspy.OutputField(default_factory=list)

        return dspy.Predict(Kind)

    return outputs(dspy, make, [chat(a="yes")], q="?")


@use
def outputs_that_are_left_out_of_json(dspy):
    kind = dspy.Signature(
        {"q": (str, dspy.InputField()), "a": (str, dspy.OutputField()), "b": (str | None, dspy.OutputField())}
    )
    with dspy.context(lm=scripted(dspy, ['{"a": "yes"}']), adapter=dspy.JSONAdapter()):
        return dict(dspy.Predict(kind)(q="?").items())


@use
def outputs_that_are_null(dspy):
    return outputs(dspy, lambda dspy: dspy.Predict("q -> a: Optional[int]"), [chat(a="null")], q="?")


@use
def copies_of_instances(dspy):
    made = dspy.Signature("q -> a")(q="1", a="b")
    return made.model_copy(update={"a": "x"}).a, made.a, refused(lambda: hash(made), TypeError)


@use
def types_of_the_module(dspy):
    mine = dspy.Signature("place: Place -> mood: Mood")
    return mine.input_fields["place"].annotation is Place, mine.output_fields["mood"].annotation is Mood


@use
def types_of_a_function(dspy):
    class Inner(pydantic.BaseModel):
        x: int

    kind = dspy.Signature("a: Inner, b: list[Inner] -> c: Optional[Inner]")
    return kind.input_fields["a"].annotation is Inner, kind.input_fields["b"].annotation == list[Inner]


@use
def types_of_the_one_who_makes_a_program(dspy):
    class Inner(pydantic.BaseModel):
        x: int

    found = [dspy.Predict("a -> b: Inner").signature, dspy.ChainOfThought("a -> b: Inner").predict.signature]
    return [kind.output_fields["b"].annotation is Inner for kind in found]


@use
def types_with_dots(dspy):
    class Box:
        class Inner(pydantic.BaseModel):
            x: int

    kind = dspy.Signature("a: Box.Inner -> b: pydantic.BaseModel")
    return kind.input_fields["a"].annotation is Box.Inner, kind.output_fields["b"].annotation is pydantic.BaseModel


@use
def types_by_name_come_first(dspy):
    class Inner(pydantic.BaseModel):
        x: int

    kind = dspy.Signature("a: Inner -> b", custom_types={"Inner": Place})
    return kind.input_fields["a"].annotation is Place


@use
def types_that_nobody_knows(dspy):
    return refused(lambda: dspy.Signature("a: Unheard -> b"), ValueError)


@use
def types_of_dspy(dspy):
    kind = dspy.Signature("picture: dspy.Image, past: dspy.History -> code: dspy.Code, mood: Literal['a', 'b']")
    return kind.input_fields["picture"].annotation is dspy.Image, kind.output_fields["mood"].annotation == Literal[
        "a", "b"
    ]


@use
def changes(dspy):
    kind = asking(dspy)
    return (
        list(kind.prepend("first", dspy.InputField(), int).fields),
        list(kind.append("last", dspy.OutputField()).fields),
        list(kind.insert(0, "o", dspy.OutputField(), bool).output_fields),
        list(kind.insert(-1, "o", dspy.OutputField(), bool).output_fields),
        list(kind.insert(-2, "o", dspy.OutputField(), bool).output_fields),
        list(kind.delete("context").fields),
        list(kind.delete("unheard").fields),
        refused(lambda: kind.insert(9, "o", dspy.OutputField()), ValueError),
        kind.append("last", dspy.OutputField()).fields["last"].annotation,
        kind.with_updated_fields("sure", type_=int).fields["sure"].annotation,
        kind.signature,
        dict(kind.prepend("x", dspy.InputField()).input_fields)["x"].json_schema_extra["prefix"],
    )


@use
def states(dspy):
    kind = asking(dspy)
    state = kind.with_instructions("Other.").with_updated_fields("answer", desc="new").dump_state()
    loaded = kind.load_state(state)
    words = loaded.fields["answer"].json_schema_extra["desc"]
    return state["instructions"], len(state["fields"]), loaded.instructions, words, kind.instructions


@use
def names_and_words(dspy):
    kind = asking(dspy)
    return (
        kind.__name__,
        kind.instructions,
        dspy.Signature("a -> b").__name__,
        kind.__doc__,
    )


@use
def subclasses(dspy):
    class More(asking(dspy)):
        """Answer more."""

        hint: str = dspy.InputField()
        source: str = dspy.OutputField()

    return list(More.input_fields), list(More.output_fields), More.instructions


@use
def old_fields(dspy):
    class Kind(dspy.Signature):
        """Do."""

        q = dspy.InputField()
        a = dspy.OutputField(desc="d")

    return list(Kind.fields), Kind.fields["q"].annotation, Kind.fields["a"].json_schema_extra["desc"]


@use
def what_is_no_signature(dspy):
    return (
        refused(lambda: dspy.Signature("no arrow"), ValueError),
        refused(lambda: dspy.Signature("a -> b -> c"), ValueError),
        refused(lambda: dspy.Signature({"a": str}), ValueError, TypeError),
        refused(lambda: dspy.Signature(3), Exception),
    )


@use
def whatever_is_an_input(dspy):
    kind = dspy.Signature({"x": (Any, dspy.InputField()), "y": (dict[str, Any], dspy.OutputField())})
    return kind.fields["x"].annotation is Any, kind.fields["y"].annotation


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
