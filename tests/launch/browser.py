"""A headless Chromium for tests; those that need one are skipped where there is none."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


def why_not():
    """Why there is no browser; None where there is one."""
    if CHROMIUM is None or DRIVER is None:
        return "needs Chromium and its driver: apt-get install chromium chromium-driver"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs the package selenium"
    return None


@contextmanager
def browser():
    """A browser with a window of 1400 by 900 pixels, which keeps what is said on its console."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1400,900"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = Chrome(options=options, service=ChromeService(DRIVER))
    except WebDriverException as error:  # installed, and not of one version, or not allowed to run
        pytest.skip(f"Chromium does not start: {str(error.msg).splitlines()[0]}")
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver, path):
    """Open a page and wait for its first picture."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get_log("browser")
    driver.get(path.resolve().as_uri())
    WebDriverWait(driver, 60).until(lambda one: one.execute_script("return document.body.dataset.ready") == "yes")
    return driver


def errors(driver):
    """What the page complained of since it was opened."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
