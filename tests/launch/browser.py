"""A browser for tests; those that need one are skipped where there is none, with the reason."""

from contextlib import contextmanager

import pytest

from lukasa.benchmarks import browser as browsers


@contextmanager
def browser():
    """As ``lukasa.benchmarks.browser.browser``."""
    try:
        with browsers.browser() as driver:
            yield driver
    except browsers.NoBrowserError as reason:
        pytest.skip(str(reason))
