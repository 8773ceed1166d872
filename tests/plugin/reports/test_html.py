"""The page as a person uses it, in Chromium; and its text."""

import json
import re

import pytest
from report_documents import a_case, a_suite

from pytest_dspex.reports.document import CallRow, Document, Turn
from pytest_dspex.reports.html import page

EVIL = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
    "<!--<script> ]]> \\u003cb\\u003e &lt;b&gt; {{7*7}} ${7*7} \u2028 \u202eevil \x1b[2J '\"`"
)


@pytest.fixture
def opened(browser, tmp_path):
    """Open a report; what goes wrong on the page, and what it asks for, is noted on it."""
    contexts = []

    def open_(document, **context):
        path = tmp_path / "report.html"
        path.write_text(page(document), encoding="utf-8")
        contexts.append(browser.new_context(**context))
        tab = contexts[-1].new_page()
        tab.problems, tab.requests = [], []
        tab.on("pageerror", lambda error: tab.problems.append(str(error)))
        tab.on("console", lambda message: tab.problems.append(message.text))
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]")
        return tab

    yield open_
    for context in contexts:
        context.close()


def names_of(tab):
    return [text.split(" ")[0] for text in tab.locator("#case-table > tbody > tr .open").all_inner_texts()]


def embedded(text):
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(data)


def test_the_page_shows_verdicts_scores_cases_optimizations_and_notes_without_a_request(opened, document):
    tab = opened(document)
    assert tab.locator("#gates .chip").all_inner_texts() == ["FAIL", "OK", "NOT EVALUATED"]
    assert "0.75" in tab.locator("#gates").inner_text()
    assert "0.30 to 0.95" in tab.locator("#scores").inner_text()
    assert names_of(tab) == ["e0", "e1", "e2", "e3", "r0", "r0", "r0"]
    assert "LM calls: 7 replayed" in tab.locator("#notes").inner_text()
    assert tab.locator("#optimizations circle").count() == 2
    assert tab.locator("#optimizations .diff").inner_text().splitlines() == [
        "- Decide.",
        "+ Decide now.",
        "  Be brief.",
    ]
    assert (tab.problems, [url for url in tab.requests if not url.startswith("file:")]) == ([], [])


def test_the_cases_are_filtered_by_words_test_outcome_and_change(opened, document):
    tab = opened(document)
    search = tab.get_by_label("Search the cases")
    search.fill("TEXT 1")
    assert names_of(tab) == ["e1", "r0"]
    search.fill("")
    tab.get_by_label("Outcome").select_option("!pass")
    assert names_of(tab) == ["e1", "e3", "r0"]
    tab.get_by_label("Test").select_option("0")
    assert names_of(tab) == ["e1", "e3"]
    tab.get_by_label("Outcome").select_option("silent")
    assert names_of(tab) == ["e3"]
    tab.get_by_label("Outcome").select_option("")
    tab.get_by_label("Baseline").select_option("worse")
    assert names_of(tab) == ["e1"]
    tab.get_by_label("Baseline").select_option("better")
    assert names_of(tab) == ["e0"]
    tab.get_by_label("Baseline").select_option("")
    tab.get_by_label("Order").select_option("worst")
    assert names_of(tab) == ["e3", "e1", "e0", "e2"]
    assert tab.get_by_role("status").inner_text() == "4 of 7"


def test_the_name_of_a_test_stands_once_above_its_cases(opened, document):
    tab = opened(document)
    named = tab.locator("#case-table .test")
    tests = [suite.test for suite in document.suites]
    assert (len(tests), named.all_inner_texts()) == (2, tests)
    tab.get_by_label("Test").select_option("1")
    assert named.all_inner_texts() == tests[1:]
    assert "test_" not in " ".join(tab.locator("#case-table .open").all_inner_texts())


def test_a_case_is_found_opened_and_closed_with_the_keyboard_alone(opened, document):
    tab = opened(document)
    tab.keyboard.press("/")
    tab.keyboard.type("e1")
    assert names_of(tab) == ["e1"]
    tab.keyboard.press("Escape")
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    shown = tab.locator(".detail").inner_text()
    assert all(part in shown for part in ("text 1", "not refund", "0, 1 in the baseline", "Got in the baseline"))
    summary = tab.locator(".detail summary")
    assert "120 + 7 tokens" in summary.inner_text()
    assert "$0.002" in summary.inner_text()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.locator(".detail .turn").all_inner_texts() == [
        "system\nDecide what it is about.",
        "user\ntext 1",
        "reply\n[[ ## intent ## ]]\ncancel",
    ]
    tab.keyboard.press("k")
    tab.keyboard.press("Enter")
    assert tab.locator(".detail").count() == 0


def test_everything_that_can_be_clicked_can_be_reached_with_tab_and_has_a_name(opened, document):
    tab = opened(document)
    unnamed = """() => [...document.querySelectorAll("button, input, select, a, summary")]
        .filter((each) => each.tabIndex < 0 || !(each.innerText.trim() || each.getAttribute("aria-label")))
        .map((each) => each.outerHTML)"""
    assert [found for found in tab.evaluate(unnamed) if "hidden" not in found] == []


def test_a_cell_of_a_matrix_a_bar_and_a_slice_show_their_cases(opened, document):
    tab = opened(document)
    tab.get_by_role("button", name="intent: expected refund, got cancel: 1", exact=True).click()
    assert names_of(tab) == ["e1"]
    tab.get_by_role("button", name="✕").click()
    assert len(names_of(tab)) == 7
    tab.get_by_role("button", name="accuracy 0.9 to 1: 2 cases").click()
    assert names_of(tab) == ["e0", "e2"]
    tab.get_by_role("button", name="language = de").click()
    assert names_of(tab) == ["e1", "e3"]
    tab.get_by_role("button", name="r0, repeat 2: miss").click()
    assert names_of(tab) == ["r0", "r0", "r0"]


@pytest.mark.parametrize("width", [1400, 420])
def test_long_words_do_not_make_the_page_wider_than_the_window(opened, width):
    case = a_case(1, case="x" * 300, inputs={"y" * 200: "z" * 900}, message="m" * 400)
    tab = opened(
        Document(suites=(a_suite(case, test="t/" + "a" * 200 + ".py::test"),)), viewport={"width": width, "height": 800}
    )
    tab.locator("#case-table .open").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


CONTRASTS = """() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (text) => {
        const [r, g, b] = parse(text).map((each) => each / 255)
            .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const color = getComputedStyle(each).backgroundColor;
            if (parse(color)[3] !== 0) return color;
        }
        return "rgb(255, 255, 255)";
    };
    return [...document.querySelectorAll("body *")].filter((each) => each.innerText && each.offsetParent)
        .map((each) => {
            const [one, other] = [light(getComputedStyle(each).color), light(ground(each))];
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        });
}"""


def test_texts_can_be_read_in_light_and_in_dark(opened, document):
    grounds = []
    for scheme in ("light", "dark"):
        tab = opened(document, color_scheme=scheme)
        tab.locator("#case-table .open").nth(1).click()
        contrasts = tab.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        assert min(contrasts) >= 4.5
        grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


def evil_document():
    case = a_case(
        1,
        case=EVIL,
        message=EVIL,
        inputs={EVIL: EVIL},
        expected={"intent": EVIL},
        got={"intent": EVIL, "list": [EVIL]},
        columns={EVIL: EVIL},
        params={EVIL: EVIL},
        before=EVIL,
        calls=(CallRow(model=EVIL, messages=(Turn(role=EVIL, content=EVIL),), reply=EVIL),),
    )
    return Document(suites=(a_suite(case, test=f"{EVIL}::test"), a_suite(case, test="b")), notes=(EVIL,))


def test_markup_in_a_report_is_text_on_the_page(opened):
    tab = opened(evil_document())
    tab.locator("#case-table .open").first.click()
    tab.locator(".detail details").evaluate("each => { each.open = true; }")
    assert tab.evaluate("window.pwned") is None
    assert tab.locator("img").count() == 0
    assert "</script><script>window.pwned = 1</script>" in tab.locator(".detail .turn").first.inner_text()
    assert "\u202e" not in tab.locator("body").inner_text()
    assert (tab.problems, [url for url in tab.requests if not url.startswith("file:")]) == ([], [])


def test_the_policy_of_the_page_lets_no_other_script_run_and_nothing_be_sent(opened, document):
    tab = opened(document)
    tab.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.pwned = 1";
            document.body.append(script);
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(image);
        }"""
    )
    assert tab.evaluate("window.pwned") is None
    assert len(tab.problems) == 2
    assert all("Content Security Policy" in problem for problem in tab.problems)


def test_the_data_cannot_end_its_element_and_holds_texts_as_they_are_shown():
    text = page(evil_document())
    assert text.count("</script>") == 2
    assert "<!--" not in text
    assert embedded(text)["report"]["suites"][0]["cases"][0]["message"] == EVIL.replace("\x1b", "\\x1b").replace(
        "\u2028", "\\u2028"
    ).replace("\u202e", "\\u202e")


def test_a_prompt_that_cases_share_is_in_the_page_once(document):
    assert page(document).count("Decide what it is about.") == 1


def test_a_page_of_2000_cases_with_long_prompts_stays_under_5_mb_and_keeps_those_of_failed_cases():
    def with_prompt(number):
        call = CallRow(model="m", messages=(Turn(role="user", content=f"{number} " + "word " * 1000),), reply="r")
        return a_case(number, outcome="miss" if number % 50 == 0 else "pass", calls=(call,))

    text = page(Document(suites=(a_suite(*map(with_prompt, range(2000))),)))
    assert len(text.encode()) < 5_000_000
    cases = embedded(text)["report"]["suites"][0]["cases"]
    assert len(cases) == 2000
    assert all(case["calls"][0]["messages"] for case in cases if case["outcome"] == "miss")
    assert cases[-1]["calls"][0]["messages"] is None
