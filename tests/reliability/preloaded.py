"""What every command loads, loaded once before commands are forked."""

import contextlib
import importlib

import torch

from lukasa import memory

torch.set_num_threads(1)

for kind in ("supervised", "few_shot", "questions", "pointers", "programs", "circuits", "continual"):
    importlib.import_module(f"lukasa.launch.kinds.{kind}.job")
for name in (
    "lukasa.launch.training.command",
    "lukasa.launch.training.loop",
    "lukasa.launch.cli.evaluate",
    "lukasa.launch.cli.export",
    "lukasa.launch.cli.plot",
    "tensorboardX.record_writer",
    "tensorboardX.summary",
):
    importlib.import_module(name)
with contextlib.suppress(ImportError), torch.no_grad():  # native code, where there is some
    memory.unroll(memory.make_core("ntm", input_size=4, output_size=4), torch.rand(2, 3, 4))
