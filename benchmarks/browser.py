"""A headless Chromium, driven by Selenium, for what is measured or tested of pages."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WINDOW = (1400, 900)
"""Pixels."""
LONGEST = 300
"""Seconds that a page may take to show its first picture."""


class NoBrowserError(RuntimeError):
    """There is no browser that can be driven; the message says what is missing."""


@contextmanager
def browser() -> Iterator[Any]:
    """A browser that keeps what is said on its console.

    Raises:
        NoBrowserError: Chromium, its driver or Selenium is missing, or it does not start.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise NoBrowserError("needs Chromium and its driver: apt-get install chromium chromium-driver")
    if importlib.util.find_spec("selenium") is None:
        raise NoBrowserError("needs the package selenium: pip install 'lukasa[dev]'")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = chromium
    size = f"window-size={WINDOW[0]},{WINDOW[1]}"
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", size):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        found = Chrome(options=options, service=ChromeService(driver))
    except WebDriverException as error:  # of another version than its driver, or not allowed to run
        raise NoBrowserError(f"Chromium does not start: {str(error.msg).splitlines()[0]}") from error
    found.set_script_timeout(LONGEST)
    try:
        yield found
    finally:
        found.quit()


def opened(driver: Any, path: Path) -> Any:
    """Open a page and wait for its first picture.

    Args:
        driver: of ``browser``.
        path: of the page.
    """
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get_log("browser")
    driver.get(path.resolve().as_uri())
    WebDriverWait(driver, LONGEST, 0.05).until(
        lambda one: one.execute_script("return document.body && document.body.dataset.ready") == "yes"
    )
    return driver


def errors(driver: Any) -> list[str]:
    """What a page complained of since it was opened."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
