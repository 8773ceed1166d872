"""An optimizer that tries instructions, and a scripted LM that is right where an instruction says so."""

from dspex_core import Example, Optimizer, Predict, ScriptedLM, context, exact_match

METRIC = exact_match("label")


class Instructions(Optimizer):
    """Tries instructions, such as "right from 0 to 10": right on the texts with these numbers."""

    def __init__(self, *texts):
        self.metric = METRIC
        self.texts = texts

    def _compile(self, run):
        for text in self.texts:
            run.trial(text, lambda text=text: written(text))
        return run.best


def rows(count):
    """Rows whose text is `text N`, all with one label."""
    return [Example(text=f"text {number}", label="a").with_inputs("text") for number in range(count)]


def written(text):
    """Return a program with an instruction."""
    return Predict(Predict("text -> label").signature.with_instructions(text))


def answer(request):
    """Answer rightly for the texts that the instruction names."""
    first, last = (int(word) for word in request.messages[0].text.partition("right from ")[2].split()[:3:2])
    number = int(request.messages[-1].text.rpartition("text ")[2].split()[0])
    return {"label": "a" if first <= number < last else "b"}


def compiled(*texts, student, valset, optimizer=None, **options):
    """Compile a program with an instruction by an optimizer, or by `Instructions(*texts)`."""
    with context(lm=ScriptedLM(answer)):
        made = optimizer or Instructions(*texts)
        return made.compile(written(student), trainset=valset[:4], valset=valset, **options)
