import json
import os
import signal
import stat
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.errors import ArtifactError
from dspex_core.storage.artifacts import read_artifact, write_artifact
from dspex_core.storage.files import write_atomically

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
STATE = {"predict": {"demos": [{"text": "naïve 😀", "n": 1.5}], "lm": None}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "program.json"


class TestRoundTrip:
    @given(state=st.dictionaries(texts, json_values, max_size=4))
    def test_gives_the_state_back_unchanged_and_in_order(self, tmp_path_factory, state):
        path = tmp_path_factory.mktemp("artifacts") / "a.json"

        write_artifact(path, "program", state)

        assert read_artifact(path, "program") == state
        assert list(read_artifact(path, "program")) == list(state)

    def test_the_file_is_for_people_too(self, path):
        write_artifact(path, "program", {"b": "é", "a": []}, metadata={"seed": 0})

        assert path.read_bytes().decode() == (
            "{\n"
            '  "format": "dspex-artifact",\n'
            '  "version": 1,\n'
            '  "kind": "program",\n'
            '  "metadata": {\n'
            '    "seed": 0\n'
            "  },\n"
            '  "state": {\n'
            '    "b": "é",\n'
            '    "a": []\n'
            "  }\n"
            "}\n"
        )

    def test_the_same_state_gives_the_same_bytes(self, tmp_path):
        for name in ("one.json", "two.json"):
            write_artifact(tmp_path / name, "program", STATE)

        assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


class TestWriting:
    def test_names_every_value_that_is_no_json(self, path):
        state = {
            "a": [1, {"b": Decimal(1)}],
            "c": {1: "x"},
            "d": float("nan"),
            "e": (1, 2),
            "f": {"g": Path("x")},
            "h": "fine",
        }

        with pytest.raises(ArtifactError) as caught:
            write_artifact(path, "program", state, metadata={"when": {1}})

        assert caught.value.problems == (
            "metadata.when: {1} (set) is not a JSON value",
            "state.a[1].b: Decimal('1') (Decimal) is not a JSON value",
            "state.c: the key 1 is not a text",
            "state.d: nan (float) is not a JSON value",
            "state.e: (1, 2) (tuple) is not a JSON value",
            f"state.f.g: {Path('x')!r} ({type(path).__name__}) is not a JSON value",
        )
        assert not path.exists()

    def test_refuses_half_a_surrogate_pair_and_keeps_the_old_file(self, path):
        write_artifact(path, "program", STATE)

        with pytest.raises(ArtifactError, match=r"cannot be written in UTF-8: '\\ud800'"):
            write_artifact(path, "program", {"text": "x\ud800"})

        assert read_artifact(path, "program") == STATE
        assert list(path.parent.iterdir()) == [path]

    def test_makes_the_directory(self, tmp_path):
        write_artifact(tmp_path / "deep" / "er" / "a.json", "program", STATE)

        assert read_artifact(tmp_path / "deep" / "er" / "a.json", "program") == STATE

    def test_tells_when_the_directory_is_a_file(self, path):
        path.write_text("I am a file")

        with pytest.raises(ArtifactError, match=r"a\.json: cannot be written: "):
            write_artifact(path / "a.json", "program", STATE)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
    def test_tells_when_the_directory_is_read_only(self, path):
        write_artifact(path, "program", STATE)
        path.parent.chmod(0o500)

        with pytest.raises(ArtifactError, match="cannot be written: Permission denied"):
            write_artifact(path, "program", {})

        assert read_artifact(path, "program") == STATE


class TestReading:
    def test_tells_that_the_file_is_missing(self, path):
        with pytest.raises(ArtifactError, match=r"program\.json: cannot be read: No such file"):
            read_artifact(path, "program")

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"\x80\x04pickle"])
    def test_tells_what_is_no_json(self, path, content):
        path.write_bytes(content)

        with pytest.raises(ArtifactError, match="is not JSON"):
            read_artifact(path, "program")

    @pytest.mark.parametrize("content", [[], 1, {}, {"state": {}}, {"format": "other", "version": 1}])
    def test_tells_json_that_is_no_artifact(self, path, content):
        path.write_text(json.dumps(content))

        with pytest.raises(ArtifactError, match="not a dspex artifact"):
            read_artifact(path, "program")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"version": 2}, "schema version 2; this dspex reads up to 1: update pytest-dspex"),
            ({"version": "1"}, "damaged artifact: its version is '1'"),
            ({"kind": "baseline"}, "of kind 'baseline', not 'program'"),
            ({"state": None}, "damaged artifact: it has no state"),
        ],
    )
    def test_tells_why_an_artifact_does_not_fit(self, path, change, reason):
        write_artifact(path, "program", STATE)
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

        with pytest.raises(ArtifactError, match=reason) as caught:
            read_artifact(path, "program")

        assert caught.value.path == str(path)


class TestAtomicFiles:
    def test_keep_their_permissions(self, path):
        path.write_text("old")
        path.chmod(0o640)

        write_atomically(path, "new")

        assert path.read_text() == "new"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_a_new_one_has_the_usual_permissions(self, path):
        (path.parent / "usual").touch()

        write_atomically(path, "new")

        assert path.stat().st_mode == (path.parent / "usual").stat().st_mode

    def test_are_written_through_links(self, path):
        link = path.with_name("link.json")
        path.write_text("old")
        link.symlink_to(path)

        write_atomically(link, "new")

        assert link.is_symlink()
        assert path.read_text() == "new"

    def test_hold_the_text_as_it_is(self, path):
        write_atomically(path, "a\r\nb\nc é")

        assert path.read_bytes() == "a\r\nb\nc é".encode()

    def test_may_have_the_longest_name(self, tmp_path):
        write_atomically(tmp_path / ("x" * 255), "text")

        assert (tmp_path / ("x" * 255)).read_text() == "text"

    def test_readers_never_see_half_of_one(self, path):
        versions = [letter * 200_000 for letter in "abcd"]
        write_atomically(path, versions[0])

        def write():
            for version in versions * 5:
                write_atomically(path, version)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            assert path.read_text() in versions
        for writer in writers:
            writer.join()

        assert list(path.parent.iterdir()) == [path]

    def test_survive_a_kill_at_any_moment(self, path):
        old, new = "old" * 100_000, "new" * 100_000
        write_atomically(path, old)
        code = (
            "import sys; from dspex_core.storage.files import write_atomically\n"
            "print('ready', flush=True)\nwhile True:\n"
            "    for text in ('new' * 100_000, 'old' * 100_000): write_atomically(sys.argv[1], text)"
        )

        for attempt in range(20):
            with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as process:
                process.stdout.readline()
                threading.Event().wait(attempt / 2000)
                process.send_signal(signal.SIGKILL)
            assert path.read_text() in (old, new)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 64 kB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "dspex", tmp_path]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small file system, and not in every sandbox")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_leaves_the_old_artifact(small_disk):
    path = small_disk / "program.json"
    write_artifact(path, "program", STATE)

    with pytest.raises(ArtifactError, match="cannot be written: No space left on device"):
        write_artifact(path, "program", {"text": "x" * 100_000})

    assert read_artifact(path, "program") == STATE
    assert list(small_disk.iterdir()) == [path]
