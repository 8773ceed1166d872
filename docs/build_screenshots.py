"""Writes docs/images/report-*.png: the HTML report of an example suite as Chromium shows it.

Run `python docs/build_screenshots.py` after a change to the report's page, and look at the pictures. It needs the
`dev` extra and a Chromium that is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
SUITE = ROOT / "example_suites" / "support_intents"
IMAGES = Path(__file__).with_name("images")
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WINDOW_WIDTH = 1100


def write_report(path: Path) -> None:
    """Replay the suite, without a network, and write its report."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(SUITE),
        f"--dspex-report=html:{path}",
    ]
    subprocess.run(command, cwd=path.parent, check=True)  # noqa: S603  # our own command


def tab(browser: Browser, report: Path, *, scheme: Literal["light", "dark"], height: int) -> Page:
    """Return a tab that shows the report, its cases with the lowest score first."""
    page = browser.new_page(viewport={"width": WINDOW_WIDTH, "height": height}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.get_by_label("Order").select_option(label="lowest score first")
    return page


def write_pictures(browser: Browser, report: Path) -> None:
    """Write the top of the report, its table of cases, and one case with its prompt and reply."""
    page = tab(browser, report, scheme="light", height=720)
    page.screenshot(path=IMAGES / "report-overview.png")
    page.locator("#cases").evaluate("section => section.scrollIntoView()")
    page.screenshot(path=IMAGES / "report-cases.png")
    page = tab(browser, report, scheme="dark", height=900)
    page.locator("#case-table .open").first.click()
    page.locator(".detail details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    page.locator("#cases").evaluate("section => section.scrollIntoView()")
    page.screenshot(path=IMAGES / "report-case-dark.png")


def main() -> None:
    """Write all pictures."""
    from playwright.sync_api import sync_playwright  # only this script and some tests need it

    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if chromium is None:
        sys.exit(f"Chromium is not installed; none of {', '.join(CHROMIUMS)} is on the path")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        write_report(report)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        write_pictures(browser, report)
        browser.close()


if __name__ == "__main__":
    main()
