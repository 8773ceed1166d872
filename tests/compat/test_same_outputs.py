"""One program and one script of replies give the same outputs in DSPy and in ours."""

import ast
import contextlib
import io

import pytest
import user_code
from both import chat, outputs, scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from user_code import Address, Person

PEOPLE = [
    {"name": "Anna", "age": 30, "addresses": [{"street": "Ring 1", "city": "Graz"}]},
    {"name": "Ben Ünal", "age": None, "addresses": [{"street": "A\nB", "city": "Linz", "postcode": "4020"}] * 2},
]


@pytest.mark.parametrize("case", ["completed", "padded", "chatty", "unfinished", "fallback to JSON"])
def test_classification(ours, real, case):
    plain = chat(intent="refund", confidence="0.5")
    replies = {
        "completed": [plain],
        "padded": [chat(intent="  refund \n\n", confidence=" .5\n")],
        "chatty": ["Sure!\n\n" + plain + "\nBye."],
        "unfinished": [plain.removesuffix("[[ ## completed ## ]]")],
        "fallback to JSON": ["It is a refund.", '```json\n{"intent": "refund", "confidence": 0.5}\n```'],
    }[case]

    mine = outputs(ours, user_code.classifier, replies, message="Money back!")

    assert mine == {"intent": "refund", "confidence": 0.5}
    assert mine == outputs(real, user_code.classifier, replies, message="Money back!")


@pytest.mark.parametrize(("urgent", "tags"), [("True", '["a", "b"]'), ("false", "[]"), ("true", "['x', 'y z']")])
def test_classification_with_reasoning(ours, real, urgent, tags):
    replies = [chat(reasoning="First,\nthen.", urgent=urgent, tags=tags)]

    mine = outputs(ours, user_code.careful_classifier, replies, message="Now!")

    assert mine["reasoning"] == "First,\nthen."
    assert mine["urgent"] is (urgent.lower() == "true")
    assert mine == outputs(real, user_code.careful_classifier, replies, message="Now!")


def as_json(value):
    import json

    return json.dumps(value, ensure_ascii=False)


def test_extraction_into_nested_models(ours, real):
    replies = [chat(people=as_json(PEOPLE), by_city='{"Graz": 1, "Linz": 1}')]

    mine = outputs(ours, user_code.extractor, replies, text="Anna and Ben")

    assert mine["people"][0] == Person(name="Anna", age=30, addresses=[Address(street="Ring 1", city="Graz")])
    assert mine["people"][1].addresses[1].postcode == "4020"
    assert mine == outputs(real, user_code.extractor, replies, text="Anna and Ben")


people = st.builds(
    Person,
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    age=st.none() | st.integers(0, 120),
    addresses=st.lists(st.builds(Address, street=st.just("x [1] {y}"), city=st.text("ab ß"), postcode=st.none())),
)


@settings(max_examples=30)  # of real DSPy each takes a tenth of a second
@given(found=st.lists(people, max_size=3), by_city=st.dictionaries(st.text("abc ü"), st.integers()))
def test_extraction_of_any_people(real, found, by_city):
    import dspex_core

    replies = [chat(people=as_json([person.model_dump() for person in found]), by_city=as_json(by_city))]

    mine = outputs(dspex_core, user_code.extractor, replies, text="x")

    assert mine == {"people": found, "by_city": by_city}
    assert mine == outputs(real, user_code.extractor, replies, text="x")


def test_a_program_of_several_steps(ours, real):
    replies = [
        chat(intent="delivery", confidence="1"),
        chat(reasoning="It is late.", reply="Tomorrow."),
        chat(people=as_json(PEOPLE[:1]), by_city="{}"),
    ]

    mine = outputs(ours, user_code.with_demos, replies, message="Where is it?")

    assert (mine["intent"], mine["reply"], len(mine["people"])) == ("delivery", "Tomorrow.", 1)
    assert mine == outputs(real, user_code.with_demos, replies, message="Where is it?")


def test_the_dummy_lm_of_both(ours, real):
    answers = [{"intent": "other", "confidence": 0.25}]

    mine, theirs = (run(dspy, dummy(answers)) for dspy, dummy in ((ours, ours.DummyLM), (real, real.utils.DummyLM)))

    assert mine == theirs == {"intent": "other", "confidence": 0.25}


def run(dspy, lm):
    with dspy.context(lm=lm):
        return dict(user_code.classifier(dspy)(message="Hm").items())


@pytest.mark.parametrize(
    "reply", [chat(intent="nothing we know", confidence="0.5"), chat(intent="refund", confidence="high"), ""]
)
def test_what_cannot_be_read_is_an_error_in_both(ours, real, reply):
    for dspy, error in ((ours, ours.AdapterParseError), (real, real.utils.exceptions.AdapterParseError)):
        with pytest.raises(error):
            outputs(dspy, user_code.classifier, [reply] * 2, message="Hm")


class InThisProcess:
    """A code interpreter for both libraries, as DSPy's own needs Deno."""

    def __init__(self, final, error):
        self.tools = {}
        self.names = {"SUBMIT": self.submit}
        self.final = final
        self.error = error

    def submit(self, output):
        raise StopIteration(output)

    def start(self):
        pass

    def shutdown(self):
        self.names.clear()

    def execute(self, code, variables=None):
        self.names.update(variables or {})
        body = ast.parse(code).body
        last = (
            ast.Expression(body.pop().value)
            if body and isinstance(body[-1], ast.Expr)
            else ast.parse("None", mode="eval")
        )
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(ast.Module(body, []), "code", "exec"), self.names)
                value = eval(compile(last, "code", "eval"), self.names)
        except StopIteration as submitted:
            return self.final({"output": submitted.value})
        except Exception as error:
            raise self.error(f"{type(error).__name__}: {error}") from error
        return printed.getvalue() if value is None else value


def computed(dspy, replies, *interpreter):
    with dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter()):
        return dict(user_code.calculator(dspy)(*interpreter, question="How far is 3 hours at 80 km/h?").items())


@pytest.mark.filterwarnings("ignore:ProgramOfThought is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "written",
    [
        ["```python\nSUBMIT({'answer': 3 * 80, 'unit': 'km'})\n```"],
        ["km = 3 * 80\nprint(km)"],
        ["hours = 3\nanswer = hours * 80"],
        ["I compute it:\n```python\nfrom math import prod\nprod([3, 80])\n```"],
        ["print(3 * speed)", "```python\nspeed = 80\nprint(3 * speed)\n```"],
        ["print(3 *", "1 / 0", "print(3 * 80)"],
    ],
)
def test_arithmetic_by_a_program_of_thought(ours, real, written):
    replies = [chat(reasoning="Multiply.", generated_code=code) for code in written]
    replies.append(chat(reasoning="As computed.", answer="240", unit="km"))
    from dspy.primitives import code_interpreter

    mine = computed(ours, replies)

    assert mine == {"reasoning": "As computed.", "answer": 240.0, "unit": "km"}
    assert mine == computed(ours, replies, InThisProcess(ours.FinalOutput, ours.InterpreterError))
    theirs = InThisProcess(code_interpreter.FinalOutput, code_interpreter.CodeExecutionError)
    assert mine == computed(real, replies, theirs)


@pytest.mark.filterwarnings("ignore:ProgramOfThought is deprecated:DeprecationWarning")
def test_a_program_of_thought_that_fails_to_the_end_is_a_runtime_error_in_both(ours, real):
    from dspy.primitives import code_interpreter

    replies = [chat(reasoning="Hm.", generated_code="1 / 0")] * 3
    theirs = InThisProcess(code_interpreter.FinalOutput, code_interpreter.CodeExecutionError)
    for dspy, interpreter in ((ours, []), (real, [theirs])):
        with pytest.raises(RuntimeError, match="division by zero"):
            computed(dspy, replies, *interpreter)
