from __future__ import annotations

import copy
import datetime as dt
import enum
import subprocess
import sys
from typing import Any, Literal, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from dspex_core import Predict
from dspex_core.errors import SignatureError
from dspex_core.signatures.signature import (
    MISSING,
    InputField,
    OutputField,
    Signature,
    SignatureField,
    ensure_signature,
    make_signature,
    object_schema,
)

RELAXED = settings(deadline=None)  # the first example may pay for an import


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    name: str
    age: int = Field(default=0, ge=0, description="in years")
    friends: list[Person] = []


class Plain:
    pass


class Classify(Signature):
    """Classify the text.

    Be brief.
    """

    text: str = InputField(desc="what the customer wrote")
    limit: int = InputField(ge=0, default=3)
    label: Literal["good", "bad"] = OutputField(prefix="Mood:")
    people: list[Person] = OutputField()


def test_class_form_reads_docstring_annotations_and_declarations():
    assert Classify.instructions == "Classify the text.\n\nBe brief."
    assert list(Classify.fields) == ["text", "limit", "label", "people"]
    assert list(Classify.input_fields) == ["text", "limit"]
    assert list(Classify.output_fields) == ["label", "people"]
    text, limit, label = (Classify.fields[name] for name in ("text", "limit", "label"))
    assert (text.name, text.annotation, text.desc, text.prefix) == ("text", str, "what the customer wrote", "Text:")
    assert (text.is_input, text.default) == (True, MISSING)
    assert (limit.annotation, limit.constraints, limit.default) == (int, {"ge": 0}, 3)
    assert (label.annotation, label.is_input, label.prefix) == (Literal["good", "bad"], False, "Mood:")


def test_field_without_annotation_is_text():
    class Loose(Signature):
        question = InputField()
        answer = OutputField()

    assert {field.annotation for field in Loose.fields.values()} == {str}


def test_inputs_come_before_outputs_in_whatever_order_they_are_declared():
    class Mixed(Signature):
        answer: str = OutputField()
        question: str = InputField()

    assert list(Mixed.fields) == ["question", "answer"]


def test_subclass_inherits_fields_and_instructions_and_adds_its_own():
    class Longer(Classify):
        reason: str = OutputField()
        limit: int = InputField(le=9)

    assert Longer.signature == "text, limit -> label, people, reason"
    assert Longer.instructions == Classify.instructions
    assert Longer.fields["limit"].constraints == {"le": 9}
    assert Longer.fields["text"] is Classify.fields["text"]


def test_field_names_do_not_clash_with_what_signatures_can_do():
    signature = Signature("signature, fields -> instructions, delete: int")
    assert signature.signature == "signature, fields -> instructions, delete"
    assert signature.delete("delete").signature == "signature, fields -> instructions"


def test_annotation_without_declaration_is_refused():
    with pytest.raises(SignatureError, match=r"'text' of Bare must be declared"):

        class Bare(Signature):
            text: str
            answer: str = OutputField()


def test_unresolvable_annotation_says_what_to_do():
    class Local:
        pass

    with pytest.raises(SignatureError, match=r"name 'Local' is not defined.*module level"):

        class Lost(Signature):
            item: Local = InputField()
            answer: str = OutputField()


def test_unknown_field_argument_is_refused_with_those_that_exist():
    with pytest.raises(SignatureError, match=r"no 'minimum'; it takes: desc, .*\bge\b"):
        InputField(minimum=3)


def test_an_instance_takes_values_by_name_and_tells_all_that_is_wrong_with_them():
    with pytest.raises(SignatureError, match="takes values by name"):
        Classify("q -> a")
    with pytest.raises(SignatureError, match="'b' is missing; 'c' does not fit") as caught:
        Signature("a: int, b, c: int -> d: str | None")(a="1", c="x", d=None)
    assert "'a'" not in str(caught.value)


def test_a_name_is_looked_for_where_the_library_was_called_and_nowhere_else():
    class Local:
        pass

    def of_another_caller():
        return Signature("a: Local -> b")

    assert Signature("a: Local, b: Person -> c").fields["a"].annotation is Local
    assert Signature("a: Person -> b", types={"Person": int}).fields["a"].annotation is int
    with pytest.raises(SignatureError, match=r"unknown type 'Local': define or import it.*or give it by name"):
        of_another_caller()


def test_what_is_no_type_where_the_library_was_called_is_not_taken_for_one():
    text = "x"
    assert text
    for name in ("text", "pytest", "test_what_is_no_type_where_the_library_was_called_is_not_taken_for_one"):
        with pytest.raises(SignatureError, match=f"unknown type '{name}'"):
            Signature(f"a: {name} -> b")


def test_a_class_of_the_caller_comes_before_a_type_of_the_library_of_that_name():
    class File:
        pass

    assert Signature("a: File -> b").fields["a"].annotation is File
    assert Signature("a: Image -> b").fields["a"].annotation.__name__ == "Image"
    assert Signature("a: dspy.File -> b").fields["a"].annotation is not File


def test_nothing_of_a_signature_can_be_changed_in_place():
    with pytest.raises(AttributeError):
        Classify.instructions = "other"
    with pytest.raises(TypeError):
        Classify.fields["text"] = InputField()
    with pytest.raises(AttributeError):
        Classify.fields["text"].desc = "other"


def test_repr_is_one_short_line():
    assert repr(Classify) == "Classify(text, limit -> label, people)"


def test_deep_copies_are_the_same_class():
    assert copy.deepcopy({"s": Classify})["s"] is Classify
    assert copy.deepcopy(MISSING) is MISSING
    assert repr(MISSING) == "MISSING"


# The string form


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("str", str),
        ("int", int),
        ("list[str]", list[str]),
        ("dict[str, list[int]]", dict[str, list[int]]),
        ("tuple[int, ...]", tuple[int, ...]),
        ("Literal['a', 'b->c', -1, None]", Literal["a", "b->c", -1, None]),  # noqa: PYI061  the form under test
        ('Literal["x"]', Literal["x"]),
        ("Optional[int]", Optional[int]),  # noqa: UP045  the form under test
        ("int | None", int | None),
        ("None | int", int | None),
        ("typing.Any", Any),
        ("Any", Any),
        ("Person", Person),
        ("list[my.Person]", list[Person]),
        ("Union[int, str]", int | str),
    ],
)
def test_string_form_reads_types(text, type_):
    signature = Signature(f"question, x: {text} -> answer: {text}", types={"Person": Person, "my.Person": Person})
    assert signature.input_fields["question"].annotation is str
    assert signature.input_fields["x"].annotation == type_
    assert signature.output_fields["answer"].annotation == type_


def test_string_form_may_have_no_inputs_and_several_lines():
    assert Signature(" -> joke").signature == " -> joke"
    assert Signature("a,\n  b: int\n->\n  c,").signature == "a, b -> c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question", "must have one arrow"),
        ("a -> b -> c", "must have one arrow"),
        ("a, b, a -> c", "names 'a' twice"),
        ("a -> b, a", "names 'a' twice"),
        ("a b -> c", "cannot read 'a b'"),
        ("class -> c", "cannot read 'class'"),
        ("1x -> c", "cannot read '1x'"),
        ("a=3 -> c", "cannot read 'a=3'"),
        ("*a -> c", "cannot read"),
        ("a): pass\ndef g(b -> c", "cannot read"),
        ("a\x00 -> c", "cannot read"),
        ("a -> _hidden", "'_hidden' cannot be the name"),
        ("a -> c: Foo", r"unknown type 'Foo'.*types=\{'Foo': ...\}"),
        ("a -> c: print", "unknown type 'print'"),
        ("a -> c: typing.cast", r"unknown type 'typing\.cast'"),
        ("a -> c: __import__('os')", "unknown type"),
        ("a -> c: 'str'", "unknown type"),
        ("a -> c: int[str]", "does not take the parameter 'str'"),
        ("a -> c: Literal[x]", "does not take the parameter 'x'"),
        ("a -> c: list[Foo]", "unknown type 'Foo'"),
        ("a -> c: dict[()]", r"does not take the parameter '\(\)'"),
        ("a ->", "no output"),
    ],
)
def test_string_form_refuses_what_it_cannot_understand(text, message):
    with pytest.raises(SignatureError, match=message):
        Signature(text)


@RELAXED
@given(st.text())
def test_any_string_is_a_signature_or_a_signature_error(text):
    try:
        signature = Signature(text)
    except SignatureError:
        return
    assert signature.output_fields


@RELAXED
@given(st.text(max_size=20))
def test_any_type_text_is_a_type_or_a_signature_error(text):
    try:
        signature = Signature(f"a -> b: {text}")
    except SignatureError:
        return
    assert "b" in signature.output_fields


# Other ways to make one


def test_dict_form_takes_fields_with_and_without_a_type():
    signature = Signature({"q": InputField(desc="asked"), "a": (int, OutputField(le=5))}, "Count.")
    assert (signature.instructions, signature.signature) == ("Count.", "q -> a")
    assert signature.fields["a"].annotation is int
    assert signature.fields["q"].desc == "asked"


def test_dict_form_takes_the_fields_of_another_signature():
    assert Signature(dict(Classify.fields), Classify.instructions).equals(Classify)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"q": str, "a": OutputField()}, r"field 'q' must be InputField\(\)"),
        ({"not a name": OutputField()}, "'not a name' cannot be the name"),
        ({"for": OutputField()}, "'for' cannot be the name"),
    ],
)
def test_dict_form_refuses_what_it_cannot_understand(fields, message):
    with pytest.raises(SignatureError, match=message):
        Signature(fields)


def test_make_signature_names_the_class():
    assert repr(make_signature("q -> a: Foo", signature_name="Ask", custom_types={"Foo": Person})) == "Ask(q -> a)"
    assert Signature("q -> a: Foo", custom_types={"Foo": Person}).fields["a"].annotation is Person


def test_ensure_signature_passes_classes_through_and_reads_strings():
    assert ensure_signature(Classify) is Classify
    assert ensure_signature("q -> a", "Go.").instructions == "Go."
    with pytest.raises(SignatureError, match="has instructions already"):
        ensure_signature(Classify, "Go.")
    with pytest.raises(SignatureError, match="not 3"):
        ensure_signature(3)


# Changing one


def test_default_instructions_follow_the_fields_until_somebody_writes_some():
    signature = Signature("question, context -> answer")
    assert signature.instructions == "Given `question`, `context`, produce `answer`."
    assert (
        signature.append("why", OutputField()).instructions == "Given `question`, `context`, produce `answer`, `why`."
    )
    assert Signature(" -> joke").instructions == "Produce `joke`."
    fixed = signature.with_instructions("  Answer.\n  Briefly.")
    assert fixed.instructions == "Answer.\nBriefly."
    assert fixed.append("why", OutputField()).instructions == fixed.instructions
    assert signature.with_instructions("").instructions == signature.instructions


def test_fields_are_inserted_among_their_kind():
    signature = Signature("a, b -> x, y")
    assert signature.prepend("n", InputField()).signature == "n, a, b -> x, y"
    assert signature.append("n", InputField()).signature == "a, b, n -> x, y"
    assert signature.insert(1, "n", OutputField(), int).signature == "a, b -> x, n, y"
    assert signature.insert(-2, "n", OutputField(), int).fields["n"].annotation is int
    assert signature.insert(-2, "n", OutputField()).signature == "a, b -> x, n, y"
    assert signature.signature == "a, b -> x, y"
    with pytest.raises(SignatureError, match=r"cannot insert 'n' at 3"):
        signature.insert(3, "n", OutputField())
    with pytest.raises(SignatureError, match="already has a field 'a'"):
        signature.append("a", OutputField())


def test_delete_removes_a_field_and_lets_unknown_names_be():
    assert Signature("a, b -> c").delete("a").signature == "b -> c"
    assert Signature("a, b -> c").delete("z").equals(Signature("a, b -> c"))


def test_updated_field_keeps_what_is_not_named():
    changed = Classify.with_updated_fields("limit", float, desc="how many", le=9)
    field = changed.fields["limit"]
    assert (field.annotation, field.desc, field.default, field.constraints) == (
        float,
        "how many",
        3,
        {"ge": 0, "le": 9},
    )
    assert changed.with_updated_fields("limit", desc="more").fields["limit"].annotation is float
    assert (changed.__name__, changed.instructions) == ("Classify", Classify.instructions)
    assert list(changed.fields) == list(Classify.fields)
    with pytest.raises(SignatureError, match="no field 'nope'"):
        Classify.with_updated_fields("nope", desc="x")


def test_equals_compares_instructions_and_fields():
    assert Signature("q -> a").equals(Signature("q -> a"))
    assert not Signature("q -> a").equals(Signature("q -> a: int"))
    assert not Signature("q -> a").equals(Signature("q -> a", "Go."))
    assert not Signature("q, r -> a").equals(Signature("r, q -> a"))
    assert not Signature("q -> a").equals("q -> a")


def test_state_round_trips_by_name():
    state = Classify.dump_state()
    assert state["fields"]["text"] == {"desc": "what the customer wrote", "prefix": "Text:"}
    changed = Classify.with_instructions("New.").with_updated_fields("text", desc="d", prefix="P:")
    backwards = changed.dump_state()
    backwards["fields"] = dict(reversed(backwards["fields"].items()))
    assert Classify.load_state(backwards).equals(changed)
    assert Classify.load_state(state).equals(Classify)


def test_state_of_another_signature_is_refused_with_every_difference():
    state = {"instructions": "x", "fields": {"text": {}, "limit": {}, "wrong": {}, "other": {}}}
    with pytest.raises(SignatureError) as caught:
        Classify.load_state(state)
    for problem in ("lacks the field 'label'", "lacks the field 'people'", "unknown field 'wrong'", "'other'"):
        assert problem in str(caught.value)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"instructions": 3, "fields": {}},
        {"instructions": "x", "fields": []},
        {"instructions": "x", "fields": {"a": 1}},
    ],
)
def test_malformed_state_is_refused(state):
    with pytest.raises(SignatureError):
        Signature("q -> a").load_state(state)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("question", "Question:"),
        ("maxItemCount_2", "Max Item Count 2:"),
        ("HTMLPage", "HTML Page:"),
        ("input1", "Input 1:"),
        ("some_text", "Some Text:"),
    ],
)
def test_prefix_is_made_of_the_name(name, label):
    assert Signature(f"{name} -> out").fields[name].prefix == label


# Fields


def field_of(type_: Any, **constraints: Any) -> SignatureField:
    return Signature({"x": (type_, OutputField(**constraints))}).fields["x"]


def test_validate_coerces_and_checks_constraints():
    assert field_of(int, ge=0).validate("5") == 5
    assert field_of(Person).validate({"name": "Ann"}) == Person(name="Ann")
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        field_of(int, ge=0).validate(-1)
    with pytest.raises(ValueError, match="match pattern"):
        field_of(str, pattern="^a").validate("b")


def test_field_of_any_class_checks_the_class():
    plain = Plain()
    assert field_of(Plain).validate(plain) is plain
    with pytest.raises(ValueError, match="instance of Plain"):
        field_of(Plain).validate("x")
    assert "Plain" in field_of(Plain).type_text()
    with pytest.raises(SignatureError, match="'x' has no JSON form"):
        field_of(Plain).json_schema()
    with pytest.raises(SignatureError, match="`x` has a type without a JSON form"):
        object_schema({"x": field_of(Plain)})


def test_constraint_that_does_not_suit_the_type_is_refused():
    with pytest.raises(SignatureError, match="of field 'x' cannot be used"):
        field_of(str, pattern="(").type_text()
    with pytest.raises(SignatureError, match=r"field 'x' cannot be checked: .*'ge'"):
        field_of(str, ge=0).validate("text")


@pytest.mark.parametrize(
    ("type_", "constraints", "text"),
    [
        (str, {}, "str"),
        (int, {"ge": 0, "lt": 10}, "int, at least 0, less than 10"),
        (float, {"gt": 0.5, "le": 1}, "float, more than 0.5, at most 1"),
        (int, {"multiple_of": 5}, "int, a multiple of 5"),
        (str, {"min_length": 1, "max_length": 9}, "str, length at least 1, length at most 9"),
        (str, {"pattern": "^a+$"}, "str, matching ^a+$"),
        (bool, {}, "bool"),
        (Any, {}, "any"),
        (Literal["a", "b"], {}, 'one of "a", "b"'),
        (Literal["ä"], {}, '"ä"'),
        (Color, {}, 'one of "red", "blue"'),
        (list[str], {"min_length": 1, "max_length": 3}, "list[str], length at least 1, length at most 3"),
        (list, {}, "list[any]"),
        (int | None, {}, "int or null"),
        (dict[str, int], {}, "dict[str, int]"),
        (dict, {}, "dict[str, any]"),
        (tuple[int, str], {}, "[int, str]"),
        (Person, {}, "{name: str, age: int, at least 0 (in years), friends: list[Person]}"),
        (list[Color], {}, 'list[one of "red", "blue"]'),
    ],
)
def test_type_text_says_the_type_in_a_few_words(type_, constraints, text):
    assert field_of(type_, **constraints).type_text() == text


def test_type_text_knows_dates():
    assert field_of(dt.date).type_text() == "date"


def test_importing_and_making_signatures_does_not_load_pydantic():
    code = (
        "import sys; from dspex_core.signatures import Signature; Signature('q -> a'); print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_signature_of_inputs_only_may_get_its_outputs_later():
    begun = Signature({"question": InputField()}, "Answer.")
    assert begun.append("answer", OutputField(), str).signature == "question -> answer"
    with pytest.raises(SignatureError, match="no output"):
        Predict(begun)


@RELAXED
@given(st.one_of(st.text(), st.text(st.characters(categories=["Cs", "Ll"]))))
def test_a_text_is_checked_as_pydantic_checks_it(text):
    declared = OutputField().updated({})

    def outcome(check):
        try:
            return check(text)
        except ValueError as error:
            return str(error)

    assert outcome(declared.validate) == outcome(declared.type_adapter.validate_python)
    assert declared.type_text() == "str"
