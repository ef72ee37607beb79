"""How much memory a sequence takes to train on, beside the core and its state: measured in a process of its own.

Two counts: ``tensors`` is what torch's allocator holds at its peak, exactly; ``heap`` is all that is allocated in the
process at its peak, the bookkeeping of autograd and of Python included.

    python -m lukasa.benchmarks.extra_memory sam 1024 100 auto
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from lukasa import memory
from lukasa.benchmarks.contestants import WARM_UPS, Contestant, ntm_contestant, sam_contestant, use_one_thread

SEQUENCES = 3
"""Of SAM; of the dense NTM, which needs minutes for one and the same each time, one."""

LAST_STEPS = 3


class _Allocated(ctypes.Structure):
    """What glibc's ``mallinfo2`` returns."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


def heap_bytes() -> int | None:
    """All that is allocated in this process, None where the C library does not tell."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return None
    library.mallinfo2.restype = _Allocated
    allocated = library.mallinfo2()
    return allocated.uordblks + allocated.hblkhd


def extra_heap(contestant: Contestant) -> int | None:
    """The peak of the heap over one sequence, less what it began at."""
    gc.collect()
    seen = [heap_bytes()]
    outputs, state = contestant.forward()
    seen.append(heap_bytes())
    # Backward frees step after step of the graph, so that it is at its peak with the first of them, the last ones.
    for node, _ in outputs.grad_fn.next_functions[-LAST_STEPS:]:  # type: ignore[union-attr]
        if node is not None:
            node.register_prehook(lambda _: seen.append(heap_bytes()))
    outputs.square().mean().backward()
    contestant.state = memory.detach_state(state)
    known = [one for one in seen if one is not None]
    return max(known) - known[0] if known else None


def extra_tensors(contestant: Contestant) -> int:
    """The peak over one sequence of the bytes in tensors, less what it began at."""
    return peak_of_tensors(contestant.run)


def peak_of_tensors(run: Callable[[], object]) -> int:
    """The peak over a call of the bytes in tensors, less what it began at."""
    gc.collect()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    events: Any = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def measure(core: str, slots: int, steps: int, index: str) -> dict[str, int | None]:
    """Both counts in bytes, after the memory was filled and a first sequence was run."""
    use_one_thread()
    is_sam = core == "sam"
    contestant = sam_contestant(slots, 1, steps, index) if is_sam else ntm_contestant(slots, steps)
    for _ in range(WARM_UPS if is_sam else 1):
        contestant.run()
    looks = (extra_heap(contestant) for _ in range(SEQUENCES if is_sam else 1))
    heaps = [one for one in looks if one is not None]
    tensors = extra_tensors(contestant)
    # A whole sequence in one call is looked at before and after; inside it the heap holds at least the tensors.
    return {"heap": max(int(statistics.median(heaps)), tensors) if heaps else None, "tensors": tensors}


def measure_apart(core: str, slots: int, steps: int, index: str) -> dict[str, int | None] | str:
    """As ``measure``, in a fresh process; where that one does not come back, why."""
    # Python's own small objects come out of the C heap too, so that they are counted.
    environment = os.environ | {"PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lukasa.benchmarks.extra_memory", core, str(slots), str(steps), index]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode < 0:
        return f"stopped by signal {-done.returncode}, as the system does when memory runs out"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    which, how_many, length, name = sys.argv[1:]
    print(json.dumps(measure(which, int(how_many), int(length), name)))
