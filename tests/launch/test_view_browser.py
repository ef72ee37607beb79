"""The page of a view in a real browser: it loads, steps by slider and keys, and says what is under the pointer."""

import io

import numpy as np
import pytest
from PIL import Image

from lukasa.benchmarks.browser import errors, opened
from lukasa.launch.views.page import write_page
from tests.launch.browser import browser
from tests.launch.made_views import HOSTILE, made_view

FRAMES = """
const view = Object.values(Bokeh.index)[0] ?? Bokeh.index.roots[0];
return view.child_views.map((part) => {
  const frame = part.frame.bbox;
  const at = part.el.getBoundingClientRect();
  return [at.left + frame.left, at.top + frame.top, frame.width, frame.height];
});
"""
"""Left, top, width and height of what is drawn in each strip, in pixels of the window."""


@pytest.fixture(scope="module")
def driver():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_page(made_view(), tmp_path_factory.mktemp("view") / "view.html")


@pytest.fixture
def shown(driver, path):
    return opened(driver, path)


def press(driver, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    chain = ActionChains(driver)
    for key in keys:
        chain.send_keys(key)
    chain.perform()


def text(driver, name):
    return driver.find_element("id", name).text


def marked(driver):
    """The step that the mark lies at, as a real number."""
    left, _, width, _ = driver.execute_script(FRAMES)[0]
    mark = driver.execute_script("return document.getElementById('mark').getBoundingClientRect().left")
    steps = driver.execute_script("return window.lukasaView.view.steps")
    return (mark - left) / width * steps - 0.5


def now(driver):
    return driver.execute_script("return window.lukasaView.now")


def test_page_loads_without_a_complaint_and_shows_something(shown):
    assert errors(shown) == []
    assert text(shown, "title") == "a tape"
    pixels = np.asarray(Image.open(io.BytesIO(shown.get_screenshot_as_png())).convert("L"))
    assert pixels.std() > 20
    assert shown.execute_script("return document.querySelector('#films img').naturalWidth") == 9


def test_keys_move_the_marks_the_texts_and_the_pictures(shown):
    from selenium.webdriver.common.keys import Keys

    press(shown, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert now(shown) == 2
    assert marked(shown) == pytest.approx(2, abs=0.05)
    assert text(shown, "now") == "step 2 (0 to 11)"
    assert text(shown, "texts") == f"said\n{HOSTILE} 2"
    before = shown.execute_script("return document.querySelector('#films img').src")
    press(shown, Keys.END)
    assert now(shown) == 11
    assert shown.execute_script("return document.querySelector('#films img').src") != before
    press(shown, Keys.HOME, Keys.ARROW_LEFT)
    assert now(shown) == 0


def test_mark_follows_a_zoom(shown):
    shown.execute_script("window.lukasaView.go(6)")
    shown.execute_script(
        "for (const doc of Bokeh.documents) for (const one of doc._all_models.values())"
        " if (one.type === 'Plot' || one.type === 'Figure') { one.x_range.setv({start: 3.5, end: 9.5}); break; }"
    )
    left, _, width, _ = shown.execute_script(FRAMES)[0]
    mark = shown.execute_script("return document.getElementById('mark').getBoundingClientRect().left")
    assert (mark - left) / width == pytest.approx(2.5 / 6, abs=0.01)


def test_space_plays_until_it_is_pressed_again(shown):
    from selenium.webdriver.support.ui import WebDriverWait

    press(shown, " ")
    WebDriverWait(shown, 20).until(lambda one: now(one) >= 3)
    press(shown, " ")
    assert text(shown, "play") == "play"


def test_slider_moves_the_marks(shown):
    shown.execute_script(
        "const one = document.getElementById('slider'); one.value = 7; one.dispatchEvent(new Event('input'));"
    )
    assert marked(shown) == pytest.approx(7, abs=0.05)
    assert "slot 5, 0.75" in text(shown, "values").replace("0.749", "0.75")


def test_hover_says_slot_weight_and_what_the_slot_holds(shown):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    # The write head is drawn below the gradient: over its width and height are 12 steps and 8 slots.
    left, top, width, height = shown.execute_script(FRAMES)[1]
    x, y = left + (3 + 0.5) / 12 * width, top + (1 - (3 + 0.5) / 8) * height
    ActionChains(shown).move_by_offset(0, 0).perform()
    chain = ActionChains(shown)
    chain.w3c_actions.pointer_action.move_to_location(round(x) - 3, round(y))
    chain.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    chain.perform()
    WebDriverWait(shown, 10).until(lambda one: text(one, "tip"))
    said = text(shown, "tip").splitlines()
    assert said[:4] == ["write head", "step 3", "slot 3", "weight 1"]
    expected = made_view().words.values[3, 3]
    np.testing.assert_allclose([float(one) for one in said[4].split()[1:]], expected, atol=0.02)


def test_gradient_follows_the_step_and_the_choice(shown):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    assert text(shown, "dependence").startswith("output 11 depends most on: all ways: steps ")
    Select(shown.find_element("id", "chosen")).select_by_value("6")
    assert now(shown) == 6
    assert text(shown, "dependence").startswith("output 6 depends most on: all ways: steps ")
    norms = made_view().gradients.norms["all ways"][0, :7]
    assert f"steps {norms.argmax()} (" in text(shown, "dependence")
    press(shown, Keys.END)
    assert text(shown, "dependence").startswith("output 11 ")


def test_numbers_in_the_browser_are_those_of_the_view(shown):
    view = made_view()
    for number, track in enumerate(view.tracks):
        found = shown.execute_script(
            "const [number, rows, steps] = arguments; const track = window.lukasaView.tracks[number];"
            "return [...Array(steps).keys()].map((s) => [...Array(rows).keys()].map((r) => track.at(r, s)));",
            number,
            len(track.rows),
            view.steps,
        )
        low, high = track.limits
        np.testing.assert_allclose(found, track.values, atol=(high - low) / 500)


def test_texts_of_a_run_do_nothing_in_the_browser(driver, tmp_path):
    view = made_view(title=HOSTILE, notes=[HOSTILE], step=HOSTILE, contents={"0": HOSTILE})
    shown = opened(driver, write_page(view, tmp_path / "hostile.html"))
    shown.execute_script("for (let track = 0; track < 5; track++) window.lukasaView.hover(track, 2, 1);")
    assert shown.execute_script("return window.harmed ?? 0") == 0
    assert shown.title == HOSTILE
    assert errors(shown) == []


def test_ten_thousand_steps_load(driver, tmp_path):
    shown = opened(driver, write_page(made_view(10_000, 128, 8), tmp_path / "long.html"))
    shown.execute_script("window.lukasaView.go(9999)")
    assert marked(shown) == pytest.approx(9999, abs=20)
    assert errors(shown) == []
