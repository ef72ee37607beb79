import inspect
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

# Before torch is imported, here and in the workers that Ray starts: which do not give way to whatever else runs, and of
# which none is started before a test asks for it, as at rest they cost time too.
os.environ |= {"OMP_NUM_THREADS": "1", "RAY_prestart_worker_first_driver": "0", "RAY_worker_niceness": "0"}

import pytest
import torch

ROOT = Path(__file__).parents[1]

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_other_machine(monkeypatch):
    """Let downloads reach loopback only: data that is not here stays missing."""
    urlopen = urllib.request.urlopen

    def urlopen_here(url: Any, *arguments: Any, **options: Any) -> Any:
        parts = urllib.parse.urlsplit(url if isinstance(url, str) else url.full_url)
        if parts.scheme != "file" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise urllib.error.URLError("tests ask no other machine")
        return urlopen(url, *arguments, **options)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen_here)


@pytest.fixture(scope="session", autouse=True)
def near_callers():
    """Describe to RLlib the two nearest of a piece's callers, which it reads, rather than the deep stack of a test.

    Each of the fifteen pieces of an agent asks for the whole stack as it is made, and for every frame without a file,
    of which pytest has some, Python then looks through all that was ever imported.
    """
    whole = inspect.stack

    def stack(context: int = 1) -> list[inspect.FrameInfo]:
        piece = sys._getframe(1)
        if piece.f_globals["__name__"] != "ray.rllib.connectors.connector_v2":
            return whole(context)
        return [inspect.FrameInfo(one, "", 0, one.f_code.co_name, None, None) for one in (piece, piece.f_back)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "stack", stack)
        yield


@pytest.fixture(scope="session")
def ray_cluster():
    """One Ray instance for all tests that need one, with two CPUs whatever the machine has."""
    import ray

    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    ray.init(address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


NO_GPU = "no CUDA device is here"


@pytest.fixture(params=["pretended", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest):
    """A GPU; and a device that only pretends to be one, so that the same tests run everywhere."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip(NO_GPU)
        yield torch.device("cuda", 0)
        return
    from tests.pretended_device import pretended_device

    with pretended_device() as pretended:
        yield pretended


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def real_device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU and a GPU, for what a device that pretends cannot show, such as half precision."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    return torch.device(request.param)
