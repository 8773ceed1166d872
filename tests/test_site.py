"""The site has each page of the repository in its navigation. `nox -s docs` builds it."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SITE = runpy.run_path(str(ROOT / "docs" / "build_site.py"))
PAGES = SITE["pages"]()
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
HEADING = re.compile(r"^#+ +(.+?)$", re.MULTILINE)


def pages_of(entries):
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from [below] if isinstance(below, str) else pages_of(below)


def anchors(page):
    """Return the anchors that a Markdown file's headings get on the site and in a repository's browser."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(text)]


def test_each_page_is_in_the_navigation_once():
    assert sorted(pages_of(CONFIG["nav"])) == sorted(PAGES.values()), "zensical.toml lists the pages of the site"


def test_a_page_loads_nothing_from_elsewhere():
    assert CONFIG["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css", "analytics"} & {*CONFIG, *CONFIG["extra"]}


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_files_and_anchors(page):
    _, files = SITE["staged"](page, PAGES)  # fails at a file that does not exist
    assert [file for file in files if (ROOT / file).is_dir()] == []
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#([^)\s]+)\)", (ROOT / page).read_text()):
        linked = (ROOT / page).parent / target if target else ROOT / page
        assert anchor in anchors(linked.resolve()), f"{page} links to {target}#{anchor}"
    assert len(set(anchors(page))) == len(anchors(page)) or page == "CHANGELOG.md", "two headings have one anchor"


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("`[no](link)` [more](two.md#a)")
    monkeypatch.setitem(SITE["staged"].__globals__, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"docs/one\.md links to 'two\.md', which does not exist"):
        SITE["staged"]("docs/one.md", {"docs/one.md": "one.md"})
    (tmp_path / "docs" / "two.md").write_text("# A")
    assert SITE["staged"]("docs/one.md", {"docs/one.md": "one.md", "docs/two.md": "two/index.md"}) == (
        "`[no](link)` [more](two/index.md#a)",
        set(),
    )
