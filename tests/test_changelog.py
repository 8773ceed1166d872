"""CHANGELOG.md has a section for each version, with what was added, changed and fixed."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
KINDS = ["Added", "Changed", "Fixed"]
RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+) \((\d{4}-\d\d-\d\d)\)")


def faults(text, *, version):
    """Yield what is wrong with a changelog's form."""
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    heads = [section.partition("\n")[0] for section in sections]
    releases = [RELEASE.fullmatch(head) for head in heads[heads[:1] == ["Unreleased"] :]]
    if title != "# Changelog\n\n":
        yield "it begins with its title"
    if not heads or None in releases:
        yield "a section is Unreleased, the first, or VERSION (DATE), and there is one"
        return
    order = [(tuple(map(int, release.groups()[:3])), release[4]) for release in releases]
    if order != sorted(order, reverse=True) or len({number for number, _ in order}) != len(order):
        yield "the newest version is the first"
    if heads[:1] != ["Unreleased"] and not heads[0].startswith(f"{version} "):
        yield "the newest section is that of the project's version"
    for head, section in zip(heads, sections, strict=True):
        yield from faults_of_section(head, section)


def faults_of_section(head, section):
    _, *parts = re.split(r"^### ", section, flags=re.MULTILINE)
    kinds = [part.partition("\n")[0] for part in parts]
    if not kinds or kinds != [kind for kind in KINDS if kind in kinds]:
        yield f"{head}: has {kinds}, not {KINDS} in this order, each once at most"
    for kind, part in zip(kinds, parts, strict=True):
        lines = part.splitlines()[1:]
        if not any(line.startswith("- ") for line in lines) or any(not re.match(r"- |  |$", line) for line in lines):
            yield f"{head}: {kind} is not a list"


def test_the_changelog_keeps_its_form():
    assert list(faults(CHANGELOG, version=VERSION)) == []


GOOD = "# Changelog\n\n## 0.2.0 (2027-02-01)\n\n### Added\n\n- One.\n\n### Fixed\n\n- Two\n  lines.\n\n"
OLD = "## 0.1.0 (2027-01-01)\n\nThe first.\n\n### Added\n\n- All.\n"


@pytest.mark.parametrize("text", [GOOD, GOOD + OLD, GOOD.replace("0.2.0 (2027-02-01)", "Unreleased") + OLD])
def test_a_good_form_has_no_faults(text):
    assert list(faults(text, version="0.2.0")) == []


@pytest.mark.parametrize(
    "text",
    [
        "# Changelog\n\n",
        GOOD.replace("# Changelog", "# News", 1),
        GOOD.replace(" (2027-02-01)", ""),
        GOOD.replace("0.2.0", "0.3.0"),
        GOOD.replace("0.2.0", "0.0.9") + OLD,
        GOOD + GOOD.removeprefix("# Changelog\n\n"),
        GOOD + OLD.replace("0.1.0 (2027-01-01)", "Unreleased"),
        GOOD.replace("Fixed", "Removed"),
        GOOD.replace("Fixed", "Added"),
        GOOD.replace("### Added", "### Fixed", 1).replace("### Fixed\n\n- Two", "### Added\n\n- Two"),
        GOOD.replace("- One.\n", ""),
        GOOD.replace("- One.", "One."),
    ],
)
def test_a_changelog_of_another_form_has_a_fault(text):
    assert list(faults(text, version="0.2.0")) != []
