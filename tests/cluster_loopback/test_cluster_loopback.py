import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.cluster_loopback.machine import HOME, USER
from tests.cluster_loopback.scenario import play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        os.environ.get("LUKASA_LOOPBACK_CLUSTER") != "1" or os.geteuid() != 0,
        reason="makes a user and listens on port 22 of loopback: run as root with LUKASA_LOOPBACK_CLUSTER=1",
    ),
]


def test_two_machines_train_what_is_submitted_and_nothing_is_left():
    folder = Path(tempfile.mkdtemp(prefix="loopback-"))  # the user may not enter pytest's own
    try:
        seen = play(folder, submits=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert "after 1,6" in seen.submits[0].output  # environment steps: a batch, rounded up to whole fragments
    assert "succeeded" in seen.job_output
    assert "InvalidAuthToken" in seen.without_token
    assert "processes of the Ray under" in seen.stopped
    assert seen.left == []
    assert not HOME.exists()
    assert USER not in Path("/etc/passwd").read_text()
