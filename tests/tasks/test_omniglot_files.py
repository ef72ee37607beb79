"""Omniglot's files: the same drawings from every layout, and one clear sentence for each way to be damaged."""

import io
import os

import numpy as np
import pytest
import torch

from lukasa.tasks.data import DataError
from lukasa.tasks.omniglot_files import CHARACTERS, MissingDataError, read_drawings, resized
from tests.tasks.drawn import bits, expect, png, put, zipped

REAL = pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")

NAMES = [
    f"images_background/{alphabet}/{number:04d}_{drawer:02d}.png"
    for number, alphabet in ((2, "Greek/character01"), (1, "Hebrew/character01"))  # numbers decide, not alphabets
    for drawer in range(1, 21)
]
DRAWN = {name: bits(place) for place, name in enumerate(NAMES)}
PNGS = {name: png(drawing) for name, drawing in DRAWN.items()}
EXPECTED = torch.stack([resized(np.stack([DRAWN[name] for name in NAMES[at : at + 20]]), 20) for at in (20, 0)])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty data folder, where the background has two characters and nothing can be downloaded."""
    monkeypatch.setitem(CHARACTERS, "background", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path))
    expect(monkeypatch, {"images_background.zip": b""})
    return tmp_path


def test_archive_gives_its_drawings_in_the_order_of_their_numbers(folder, monkeypatch):
    archive = zipped(PNGS)
    expect(monkeypatch, {"images_background.zip": archive})
    put(folder, {"images_background.zip": archive})
    assert torch.equal(read_drawings("background", 20), EXPECTED)


def test_unpacked_folder_serves_for_the_archive(folder):
    put(folder / "omniglot", PNGS)
    assert torch.equal(read_drawings("background", 20), EXPECTED)


def test_packed_arrays_serve_for_the_archive(folder, monkeypatch):
    packed = io.BytesIO()
    drawings = np.stack([np.stack([DRAWN[name] for name in NAMES[at : at + 20]]) for at in (20, 0)])
    np.savez_compressed(packed, images=np.packbits(drawings, axis=-1))
    expect(monkeypatch, {"omniglot_background.npz": packed.getvalue()})
    put(folder, {"omniglot_background.npz": packed.getvalue()})
    assert torch.equal(read_drawings("background", 20), EXPECTED)


def test_ink_is_255_and_paper_is_0():
    half = np.zeros((1, 105, 105), dtype=np.uint8)
    half[:, :, :50] = 1
    small = resized(half, 21)[0]
    assert (small[:, :9] == 255).all()
    assert (small[:, 12:] == 0).all()


def test_missing_drawing_is_named_with_the_numbers(folder):
    put(folder, {name: content for name, content in PNGS.items() if not name.endswith("0002_07.png")})
    message = r"images_background: Greek/character01 has 19 drawings, expected 20: 0002_07.png is missing, get it anew"
    with pytest.raises(DataError, match=message):
        read_drawings("background", 20)


def test_missing_character_is_refused_with_the_numbers(folder):
    put(folder, dict(list(PNGS.items())[:20]))
    with pytest.raises(DataError, match=r"images_background has 1 characters, expected 2: get it anew"):
        read_drawings("background", 20)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"no picture", "10 bytes that are no picture"),
        (png(bits(0))[:200], "200 bytes that are no picture"),
        (png(bits(0, 28)), "a picture of 28×28 pixels"),
    ],
)
def test_file_that_is_no_drawing_is_named(folder, content, found):
    put(folder, PNGS | {NAMES[3]: content})
    message = f"{NAMES[3].removeprefix('images_background/')} holds {found}, expected a PNG of 105×105"
    with pytest.raises(DataError, match=message):
        read_drawings("background", 20)


def test_archive_with_another_checksum_is_refused(folder, monkeypatch):
    archive = zipped(PNGS)
    expect(monkeypatch, {"images_background.zip": archive})
    put(folder, {"images_background.zip": archive[:-1] + b"?"})
    with pytest.raises(DataError, match=r"images_background.zip has other contents than expected"):
        read_drawings("background", 20)


def test_data_that_is_nowhere_says_what_to_put_where(folder):
    with pytest.raises(MissingDataError, match=r"put it at .*omniglot/images_background.zip \(from https://github.com"):
        read_drawings("background", 20)


@REAL
def test_real_small_archive_holds_drawings_of_the_packed_background(monkeypatch):
    monkeypatch.undo()  # the real files
    small, background = (read_drawings(part, 20).flatten(1) for part in ("background_small1", "background"))
    assert len(small) == 136
    assert len(background) == 964
    assert {bytes(one.numpy()) for one in small} <= {bytes(one.numpy()) for one in background}
