"""How fast the HTML report of 2,000 cases opens and filters in Chromium, and how large it is.

    python benchmarks/report_page.py [--cases N] [--folder FOLDER]

Needs Chromium and the package `playwright`. With --folder the page and screenshots of it are kept there.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from pytest_dspex.reports.document import (
    BaselineCase,
    CallRow,
    CandidateRow,
    CaseRow,
    Document,
    GateRow,
    OptimizationRow,
    PromptChange,
    ScoreRow,
    ScoreValue,
    SliceRow,
    SpentRow,
    SuiteRow,
    Turn,
)
from pytest_dspex.reports.html import page

CHROMIUM = "/usr/bin/chromium"
LABELS = ("billing", "cancel", "database", "delivery", "login", "refund", "ui")
SYSTEM = "Decide what the customer's message is about.\n" + "Answer with one of the labels that follow. " * 30
WORDS = (
    "order",
    "arrived",
    "late",
    "parcel",
    "open",
    "please",
    "send",
    "money",
    "back",
    "card",
    "tell",
    "when",
    "delivery",
)


def case_of(number: int, source: random.Random) -> CaseRow:
    text = " ".join(source.choices(WORDS, k=60))
    expected = source.choice(LABELS)
    got = expected if source.random() < 0.85 else source.choice(LABELS)
    before = expected if source.random() < 0.85 else source.choice(LABELS)
    value, old = float(got == expected), float(before == expected)
    turns = (Turn(role="system", content=SYSTEM), Turn(role="user", content=f"[[ ## text ## ]]\n{text}\n\nRespond."))
    reply = f"[[ ## reasoning ## ]]\nThe message is about {got}.\n\n[[ ## intent ## ]]\n{got}"
    call = CallRow(
        model="openai/gpt-4o-mini", messages=turns, reply=reply, source="replayed", prompt_tokens=512, cost=0.0004
    )
    feedback = "" if value else f"expected {expected!r}, got {got!r}"
    return CaseRow(
        id=f"tests/support/test_intent.py::test_intent[e{number:04}]",
        case=f"e{number:04}",
        outcome="pass" if value else "miss",
        message=feedback,
        inputs={"text": text},
        expected={"intent": expected},
        got={"reasoning": f"The message is about {got}.", "intent": got},
        scores={
            "accuracy": ScoreValue(value=value, feedback=feedback),
            "brevity": ScoreValue(value=source.betavariate(4, 2)),
        },
        columns={"language": source.choice(("de", "en", "fr"))},
        spent=SpentRow(calls=1, prompt_tokens=512, completion_tokens=30, cost=0.0004, latency=0.6),
        calls=(call,),
        baseline=BaselineCase(scores={"accuracy": old}, got={"reasoning": f"It is about {before}.", "intent": before}),
    )


def repeated(source: random.Random) -> tuple[CaseRow, ...]:
    return tuple(
        CaseRow(
            id=f"tests/support/test_agent.py::test_refund[r{number}-{repeat}]",
            case=f"r{number}",
            outcome="pass" if source.random() < 0.7 else "miss",
            repeat=repeat,
        )
        for number in range(8)
        for repeat in range(1, 6)
    )


def optimization(source: random.Random) -> OptimizationRow:
    candidates = tuple(
        CandidateRow(name=f"candidate {n}", score=source.uniform(0.6, 0.9), n=50, cost=source.uniform(0.01, 0.2))
        for n in range(12)
    )
    best = max(range(12), key=lambda n: candidates[n].score or 0)
    chosen = tuple(each.model_copy(update={"is_chosen": n == best}) for n, each in enumerate(candidates))
    before = "Decide what the message is about.\nAnswer with one label.\nBe brief."
    after = "Decide what the customer wants.\nAnswer with one label.\nA message about money is a refund.\nBe brief."
    return OptimizationRow(
        program="intent",
        outcome="improved",
        line="0.81 to 0.86 on 100 held-out examples (p = 0.03)",
        candidates=chosen,
        prompts=(PromptChange(predictor="predict", before=before, after=after),),
    )


def document_of(cases: int) -> Document:
    source = random.Random(0)
    rows = tuple(case_of(number, source) for number in range(cases))
    mean = statistics.fmean(row.scores["accuracy"].value or 0 for row in rows)
    measured = {"mean": mean, "low": mean - 0.016, "high": mean + 0.015, "n": cases}
    suite = SuiteRow(
        test="tests/support/test_intent.py::test_intent",
        file="tests/support/test_intent.py",
        line=12,
        n=cases,
        passed=round(mean * cases),
        missed=cases - round(mean * cases),
        errors=0,
        skipped=0,
        gates=(
            GateRow(
                name="accuracy",
                condition=">= 0.9",
                verdict="FAIL",
                reason=f"accuracy {mean:.4g} [{mean - 0.016:.4g}, {mean + 0.015:.4g}] < 0.9, n={cases}",
                rerun="pytest 'tests/support/test_intent.py::test_intent[e0003]'",
                **measured,
            ),
            GateRow(name="brevity", condition=">= 0.5", verdict="OK", reason="", **measured),
        ),
        scores=(ScoreRow(name="accuracy", **measured), ScoreRow(name="brevity", **measured)),
        slices=tuple(
            SliceRow(name="accuracy", column="language", value=value, **measured) for value in ("de", "en", "fr")
        ),
        cases=rows,
    )
    agent = SuiteRow(
        test="tests/support/test_agent.py::test_refund",
        file="tests/support/test_agent.py",
        n=40,
        passed=30,
        missed=10,
        errors=0,
        skipped=0,
        cases=repeated(source),
    )
    return Document(
        suites=(suite, agent), optimizations=(optimization(source),), notes=(f"LM calls: {cases} replayed",)
    )


def measure(path: Path, folder: Path | None) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme, viewport={"width": 1400, "height": 1000})
            tab.on("pageerror", lambda error: print("error:", error))
            tab.on("console", lambda message: print("console:", message.text))
            started = time.perf_counter()
            tab.goto(path.as_uri())
            tab.wait_for_selector("html[data-ready]")
            print(f"{scheme}: open {time.perf_counter() - started:.2f} s")
            if folder is not None:
                tab.screenshot(path=folder / f"{scheme}.png")
                tab.locator(".open").nth(12).scroll_into_view_if_needed()
                tab.locator("#case-table .open").nth(1).click()
                tab.locator("#case-table details").first.evaluate("each => each.open = true")
                tab.locator("#cases").evaluate("each => each.scrollIntoView()")
                tab.screenshot(path=folder / f"{scheme}-cases.png")
        for words in ("refund", "e0042", "parcel money delivery", "x"):
            took = [tab.evaluate(FILTER, words) for _ in range(5)]
            print(f"filter {words!r}: {statistics.median(took):.1f} ms, at most {max(took):.1f} ms")


# Until the browser has laid the rows out anew.
FILTER = """words => {
    const search = document.querySelector("input[type=search]");
    search.value = words;
    const started = performance.now();
    search.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    return performance.now() - started;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    document = document_of(asked.cases)
    with tempfile.TemporaryDirectory() as scratch:
        path = (asked.folder or Path(scratch)) / "report.html"
        started = time.perf_counter()
        path.write_text(page(document), encoding="utf-8")
        print(f"write {time.perf_counter() - started:.2f} s, {path.stat().st_size / 1e6:.2f} MB")
        measure(path, asked.folder)


if __name__ == "__main__":
    main()
