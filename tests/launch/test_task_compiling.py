"""``lukasa train task --compile``: the same losses."""

import shutil

import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.kinds.supervised.job import make_trainer
from lukasa.launch.training.requests import read_command_line

SMALL = "--memory.slots 6 --memory.word-size 4 --memory.controller-size 8 --batch-size 4 --sampler.bits 3 --lr 0.01"
BATCHES = 24
COMPILERS = ("c++", "g++", "clang++")


def first_batches(*argv: str) -> tuple[list[float], set[int]]:
    """Losses of the first batches, and the lengths of their sequences."""
    trainer = make_trainer(read_command_line("task", [*SMALL.split(), *argv]).experiment)
    drawn = trainer.generator.get_state()
    losses = [trainer.step().loss for _ in range(BATCHES)]
    trainer.generator.set_state(drawn)
    lengths = {trainer.source.sampler.sample(4, trainer.generator).mask.shape[1] for _ in range(BATCHES)}
    return losses, lengths


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C++ compiler")
def test_compiled_ntm_has_the_same_losses_and_is_not_compiled_for_every_length(monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr("torch._dynamo.config.fail_on_recompile_limit_hit", True)
    plain, lengths = first_batches()
    compiled, _ = first_batches("--compile")
    assert len(lengths) > torch._dynamo.config.recompile_limit
    assert compiled == pytest.approx(plain, rel=1e-5)
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0


def test_missing_compiler_is_told_with_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    argv = [*SMALL.split(), "--steps", "4", "--compile", "--out", str(tmp_path / "run")]
    assert main(["train", "task", *argv]) == 2
    told = capsys.readouterr().err
    assert told == "lukasa: --compile needs a C++ compiler and there is none: install g++, or train without --compile\n"
    assert not (tmp_path / "run").exists()
