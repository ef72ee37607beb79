"""Files and folders are there whole, or as they were before."""

import os
import stat
import threading

import pytest

from lukasa.ground.files import remove_partial, replacing, replacing_folder, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def failing(*_):
    raise OSError(28, "No space left on device")


def write_half(path, then):
    with replacing(path) as file:
        file.write(b"half")
        then()


def fill(path, replace=True, then=lambda: None):
    with replacing_folder(path, replace) as folder:
        (folder / "new").write_text("2")
        then()


@pytest.mark.parametrize("name", ["page.json", "ä" * 127, "x" * 255])
def test_file_is_written_and_replaced(tmp_path, name):
    for text in ("one", "two ψ"):
        write_text(tmp_path / name, text)
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("broken", ["block", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failure_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, broken, error):
    def fail(*_):
        raise error

    path = tmp_path / "page"
    for before in (None, "before"):
        if before:
            path.write_text(before)
        if broken != "block":
            monkeypatch.setattr(os, broken, fail)
        with pytest.raises(error):
            write_half(path, fail if broken == "block" else lambda: None)
        assert names(tmp_path) == (["page"] if before else [])
        assert not before or path.read_text() == before


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path):
    umask = os.umask(0o027)
    try:
        path = tmp_path / "page"
        write_text(path, "one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_text(path, "two")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(umask)


def test_link_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "page").symlink_to(tmp_path / "elsewhere" / "page")
    for text in ("one", "two"):
        write_text(tmp_path / "page", text)
        assert (tmp_path / "page").is_symlink()
        assert (tmp_path / "elsewhere" / "page").read_text() == text
    assert names(tmp_path / "elsewhere") == ["page"]


def test_threads_do_not_write_into_one_another(tmp_path):
    texts = [letter * 100_000 for letter in "abcd"]

    def write(text):
        for _ in range(5):
            write_text(tmp_path / "page", text)
            assert (tmp_path / "page").read_text() in texts

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "page").read_text() in texts
    assert names(tmp_path) == ["page"]


def test_folder_is_filled_and_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "run"
    with replacing_folder(path) as folder:
        (folder / "old").write_text("1")
    path.chmod(0o700)
    with replacing_folder(path) as folder:
        (folder / "new").write_text("2")
        assert names(path) == ["old"]
    assert (names(path), names(path.parent), stat.S_IMODE(path.stat().st_mode)) == (["new"], ["run"], 0o700)


def test_folder_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    path, moved, rename = tmp_path / "run", [], os.rename
    with replacing_folder(path) as folder:
        (folder / "old").write_text("1")
    with pytest.raises(OSError, match="No space"):
        fill(path, then=failing)
    assert (names(tmp_path), names(path)) == (["run"], ["old"])

    def fails_at_the_second(*paths):
        moved.append(paths)
        if len(moved) == 2:
            failing()
        rename(*paths)

    monkeypatch.setattr(os, "rename", fails_at_the_second)
    with pytest.raises(OSError, match="No space"):
        fill(path)
    assert (names(tmp_path), names(path)) == (["run"], ["old"])


def test_folder_that_is_to_be_new_replaces_none(tmp_path):
    path = tmp_path / "run"

    def another():
        path.mkdir()
        (path / "another").write_text("1")

    with pytest.raises(OSError, match="not empty"):
        fill(path, replace=False, then=another)
    assert (names(tmp_path), names(path)) == (["run"], ["another"])


def test_what_a_killed_process_left_gives_way(tmp_path):
    (tmp_path / ".run.partial").mkdir()
    (tmp_path / ".run.partial" / "half").write_text("1")
    with replacing_folder(tmp_path / "run") as folder:
        (folder / "whole").write_text("2")
    assert (names(tmp_path), names(tmp_path / "run")) == (["run"], ["whole"])


def test_what_killed_processes_had_begun_is_removed_and_nothing_else(tmp_path):
    for name in (".notes.7.9.partial", ".notes", "notes.partial"):
        (tmp_path / name).write_text("dear")
    remove_partial(tmp_path)
    remove_partial(tmp_path / "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".notes", "notes.partial"]
