"""``python -m tests.compile_kernels``: compile the native code that most tests use, before they run side by side.

Two processes do it, each into a folder of its own, as two that keep code in one would wait for one another. What both
compiled, the functions that kernels are made of, is taken from the first.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LAYERS = ("gru", "lstm", "gated_deltanet", "mlstm", "shm", "stack_rnn", "list_rnn")
SCANS = ("mingru", "lru", "ffm", "lmu")
GROUPS = (("ntm", "dnc", *LAYERS), ("sam", "sdnc", "mann", "dam", *SCANS))
"""Which take equally long."""
FILES = (".nbi", ".nbc", ".kept")


def compile_cores(names: list[str]) -> None:
    """Run each core forward and backward, in both precisions, with resets as without."""
    import torch

    from lukasa import memory

    starts = torch.zeros(1, 9, dtype=torch.bool).index_fill(1, torch.tensor(4), True)
    for name in names:
        for dtype in (torch.float32, torch.float64):
            sizes = {"size": 8} if name in (*LAYERS, *SCANS) else {"slots": 8, "word_size": 4}
            core = memory.make_core(name, input_size=3, output_size=2, **sizes).to(dtype)
            memory.unroll(core, torch.zeros(1, 9, 3, dtype=dtype), None, starts)[0].sum().backward()
            with torch.no_grad():
                memory.unroll(core, torch.zeros(1, 1, 3, dtype=dtype))


def merge(compiled: Path, kept: Path) -> None:
    """Copy the code of functions that are not kept yet; an index and what it lists belong together."""

    def function_of(path: Path, folder: Path) -> str:
        return str(path.relative_to(folder)).partition(".py3")[0]

    known = {function_of(path, kept) for path in kept.rglob("*.nbi")}
    for path in compiled.rglob("*"):
        if path.suffix in FILES and function_of(path, compiled) not in known:
            place = kept / path.relative_to(compiled)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def main() -> None:
    if sys.argv[1:]:
        return compile_cores(sys.argv[1:])
    try:
        from lukasa.memory.kernels.sequence import compiling
        from lukasa.memory.sparse.indexes import compiling as sparse
    except ImportError:  # without Numba
        return None
    if compiling.FOLDER is None:
        return None
    done = compiling.FOLDER / f"tests-{hashlib.sha256(f'{sparse.FOLDER}{GROUPS}'.encode()).hexdigest()[:16]}.kept"
    if done.exists():
        return None
    folders = [Path(tempfile.mkdtemp()) for _ in GROUPS]
    try:
        processes = []
        for names, folder in zip(GROUPS, folders, strict=True):
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1"}
            processes.append(subprocess.Popen([sys.executable, "-m", "tests.compile_kernels", *names], env=environment))
        if [process.wait() for process in processes] != [0] * len(GROUPS):
            sys.exit("native code could not be compiled: see above")
        for folder in folders:
            merge(folder / compiling.FOLDER.name, compiling.FOLDER)
        done.touch()
    finally:
        for folder in folders:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
