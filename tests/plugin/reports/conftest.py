"""A report with something of everything, and a Chromium to open it in."""

import shutil

import pytest
from report_documents import a_document

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture
def document():
    return a_document()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, or another that is installed; the tests download none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives Chromium, is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip(f"Chromium is not installed; none of {', '.join(CHROMIUMS)} is on the path")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()
