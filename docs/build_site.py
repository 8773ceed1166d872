"""Builds the site into build/site: `nox -s docs`, or `python docs/build_site.py` where Zensical is installed.

Pages link to each other as they lie in the repository. For the site, the pages of docs/ and those beside the code are
copied into one folder, and links to other files lead to copies of these. Zensical then fails at a page or an anchor
that does not exist.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGED = ROOT / "build" / "docs"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(?=[)#])")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "benchmarks/README.md": "benchmarks.md",
}


def pages() -> dict[str, str]:
    """Return where each page lies in the repository, with its place on the site."""
    found = dict(PAGES)
    for page in sorted((ROOT / "docs").glob("**/*.md")):
        found[page.relative_to(ROOT).as_posix()] = page.relative_to(ROOT / "docs").as_posix()
    for page in sorted((ROOT / "example_suites").glob("**/README.md")):
        folder = page.parent.relative_to(ROOT / "example_suites").as_posix()
        found[page.relative_to(ROOT).as_posix()] = "suites/index.md" if folder == "." else f"suites/{folder}.md"
    return found


def staged(path: str, places: dict[str, str]) -> tuple[str, set[str]]:
    """Return the text of a page with the links of the site, and the files that it links to.

    Raises:
        FileNotFoundError: A link leads nowhere.
    """
    files = set()

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1]))
        if not (ROOT / target).exists():
            message = f"{path} links to {link[1]!r}, which does not exist"
            raise FileNotFoundError(message)
        page = places.get(target) or places.get(f"{target}/README.md")
        if page is None:
            files.add(target)
            page = target.removeprefix("docs/") if target.startswith("docs/") else f"files/{target}"
        return posixpath.relpath(page, posixpath.dirname(places[path]) or ".")

    pieces = CODE.split((ROOT / path).read_text(encoding="utf-8"))
    pieces[::2] = [LINK.sub(moved, piece) for piece in pieces[::2]]  # every second piece is code
    return "".join(pieces), files


def stage() -> None:
    """Write the pages and the files that they link to into build/docs.

    Raises:
        FileNotFoundError: A link leads nowhere, or to a folder without a README.md.
    """
    shutil.rmtree(STAGED, ignore_errors=True)
    places = pages()
    for path, page in places.items():
        text, files = staged(path, places)
        (STAGED / page).parent.mkdir(parents=True, exist_ok=True)
        (STAGED / page).write_text(text, encoding="utf-8")
        for file in sorted(files):
            if (ROOT / file).is_dir():
                message = f"{path} links to the folder {file!r}, which has no README.md: link to a file"
                raise FileNotFoundError(message)
            copy = STAGED / (file.removeprefix("docs/") if file.startswith("docs/") else f"files/{file}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, copy)


if __name__ == "__main__":
    zensical = Path(sys.executable).with_name("zensical")
    if not zensical.exists():
        sys.exit("Zensical is not installed in this environment: pip install -c constraints.txt --group docs")
    stage()
    sys.exit(subprocess.run([zensical, "build", "--clean", "--strict"], cwd=ROOT, check=False).returncode)  # noqa: S603  # our own command
