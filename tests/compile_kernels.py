"""``python -m tests.compile_kernels``: compile the native code that most tests use, before they run side by side."""

import torch

from lukasa import memory


def main() -> None:
    for name in ("ntm", "sam", "sdnc"):
        core = memory.make_core(name, input_size=3, output_size=2, slots=8, word_size=4)
        memory.unroll(core, torch.zeros(1, 5, 3))[0].sum().backward()


if __name__ == "__main__":
    main()
