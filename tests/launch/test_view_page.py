"""The page of a view: what it holds equals what was shown, within a byte; it is small, and texts stay texts."""

import doctest
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.views import packing
from lukasa.launch.views import page as pages
from lukasa.launch.views.packing import LEVELS, packed, packed_numbers, unpacked
from lukasa.launch.views.page import check_page, describe, page, write_page
from lukasa.launch.views.view import Film, Track, Words
from tests.launch.made_views import HOSTILE, made_view


def data_of(text):
    """What the page is given, out of the page."""
    (found,) = re.findall(r'<script type="application/json" id="view-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_examples():
    assert doctest.testmod(packing, extraglobs={"np": np}).failed == 0
    assert doctest.testmod(pages).failed == 0


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (5, 2, 4), (300, 20)])
def test_packed_numbers_come_back_within_half_a_level(shape):
    values = np.random.default_rng(0).uniform(-2, 3, shape)
    np.testing.assert_allclose(unpacked(packed(values, (-2, 3))), values, atol=5 / LEVELS / 2 + 1e-6)


def test_what_changes_little_is_packed_as_changes():
    drifting = np.random.default_rng(0).random((1, 400)) / 2 + np.arange(100)[:, None] / LEVELS
    found = packed(drifting, (0, 1))
    assert found["delta"]
    np.testing.assert_allclose(unpacked(found), drifting, atol=1 / LEVELS)


def test_what_is_not_finite_or_beyond_the_limits_is_cut_off():
    found = packed(np.array([[np.nan, np.inf, -np.inf, 9.0]]), (0, 1))
    np.testing.assert_allclose(unpacked(found), [[0, 1, 0, 1]])


def test_whole_numbers_up_to_two_bytes_come_back_exactly():
    values = np.random.default_rng(0).integers(0, 65536, (9, 40))
    np.testing.assert_array_equal(unpacked(packed_numbers(values)), values)


def test_page_holds_what_the_view_shows():
    view = made_view()
    found = data_of(page(view))
    assert found["title"] == view.title
    for track, kept in zip(view.tracks, found["tracks"], strict=True):
        assert (kept["name"], kept["rows"]) == (track.name, list(track.rows))
        low, high = track.limits
        np.testing.assert_allclose(unpacked(kept["packed"]), track.values, atol=(high - low) / 500)
    largest = abs(view.words.values).max()
    np.testing.assert_allclose(unpacked(found["words"]["packed"]), view.words.values, atol=largest / 250)
    np.testing.assert_array_equal(unpacked(found["links"]["following"]), view.links.following)
    for way, rows in view.gradients.norms.items():
        for kept, row, step in zip(found["gradients"]["norms"][way], rows, view.gradients.steps, strict=True):
            np.testing.assert_allclose(kept, row[: step + 1], rtol=1e-3)
    assert found["texts"][0]["lines"] == view.texts["said"]


def test_whole_numbers_and_an_empty_word_stay_exact():
    found = describe(made_view())
    card = next(track for track in found["tracks"] if track["name"] == "card")
    np.testing.assert_array_equal(unpacked(card["packed"])[:, 0], np.arange(12) % 3)
    assert (unpacked(found["words"]["packed"])[0, 1:] == 0).all()


def test_equal_pictures_are_kept_once():
    (film,) = describe(made_view())["films"]
    assert len(film["pictures"]) == 5
    assert film["places"] == [step % 5 for step in range(12)]


def test_texts_are_in_the_page_as_data_alone():
    hostile = made_view(title=HOSTILE, notes=[HOSTILE], step=HOSTILE, contents={"0": HOSTILE})
    text = page(hostile)
    assert data_of(text)["title"] == HOSTILE
    assert "<img" not in text
    assert "onerror='" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)


def test_page_asks_for_nothing_beyond_itself():
    text = page(made_view())
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text)


def test_a_thousand_steps_of_128_slots_and_four_heads_take_less_than_ten_megabytes(tmp_path):
    random = np.random.default_rng(0)
    names = [str(slot) for slot in range(128)]
    weights = [Track(f"head {head}", random.random((1000, 128)), names, row="slot") for head in range(8)]
    words = Words(names, random.normal(size=(1000, 128, 20)))  # noise: nothing of it can be made smaller
    films = [Film("seen", random.integers(0, 255, (1000, 40, 40, 3)).astype(np.uint8))]
    path = write_page(made_view(1000, 128, tracks=weights, words=words, films=films), tmp_path / "view.html")
    assert path.stat().st_size < 10_000_000
    notes = data_of(path.read_text())["notes"]
    assert any("rounded" in note or "left out" in note for note in notes)


def test_steps_that_no_browser_draws_are_refused():
    with pytest.raises(UserError, match="30,001 steps to show: expected 1 to 30,000"):
        page(made_view(30_001, 2, tracks=[], films=(), texts={}, words=None, links=None, gradients=None))


def test_track_and_view_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="a name for each row"):
        Track("x", np.zeros((3, 2)), ["one"])
    with pytest.raises(ValueError, match="'said' has 1 steps and the view 12"):
        made_view(texts={"said": ["once"]})


@pytest.mark.parametrize(
    ("out", "message"),
    [("view.png", "is not a page"), ("missing/view.html", "there is no folder"), ("folder.html", "is a folder")],
)
def test_places_that_no_page_can_be_written_to_are_refused(tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=message):
        check_page(out)


def test_without_bokeh_the_way_to_get_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(UserError, match=r"pip install 'lukasa\[view\]'"):
        check_page(None)


def test_bokeh_is_loaded_by_a_page_alone():
    code = "import sys, lukasa.launch.views.page, lukasa.launch.cli.view; sys.exit('bokeh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
