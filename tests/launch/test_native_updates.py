"""An update of a recipe whose agents have a sparse memory: in native code and by the equations."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from lukasa import memory
from lukasa.launch.kinds.rl.algorithms import make_config
from lukasa.launch.kinds.rl.recipes import RL_RECIPES
from lukasa.memory.kernels.sparse_access import native, running
from tests.agents.rllib.sampling import make_learner, make_runner, ship

pytest.importorskip("numba")


@pytest.mark.parametrize("core", ["sam", "sdnc"])
def test_an_update_of_ppo_has_the_same_losses_natively_and_by_the_equations(core, monkeypatch):
    """Of ``repeat_previous_sam``, with both cores that have a sparse memory; each step of it is one of Adam's."""
    experiment = RL_RECIPES["repeat_previous_sam"]()
    experiment = replace(experiment, core=core, epochs=2)
    sequences, accesses, run, access = [], [], running.run_core, native.forward
    monkeypatch.setattr(running, "run_core", lambda *given: sequences.append(given[1].shape[:2]) or run(*given))
    monkeypatch.setattr(native, "forward", lambda *given: accesses.append(1) or access(*given))
    runner = make_runner(make_config(experiment).copy(copy_frozen=False))
    runner.sample()
    sampled = runner.sample()  # of which most go on in the middle of an episode
    acted = len(accesses) if core == "sam" else len(sequences)
    assert acted > 2 * 40
    updates = []
    for by_steps in (False, True):
        sequences.clear()
        learner = make_learner(make_config(experiment).copy(copy_frozen=False), runner)
        learner.config.freeze()
        losses, compute = [], learner.compute_losses

        def noted(losses=losses, compute=compute, **given):
            found = compute(**given)
            losses.append(float(found[DEFAULT_MODULE_ID].detach()))
            return found

        learner.compute_losses = noted
        updates.append(losses)
        torch.manual_seed(0)
        np.random.seed(0)
        with memory.step_by_step() if by_steps else nullcontext():
            learner.update(episodes=ship(sampled), num_epochs=2, minibatch_size=experiment.minibatch_size)
        assert bool(sequences) == (not by_steps)
        if sequences:
            assert len(sequences) >= 4
            assert min(steps for _, steps in sequences) > 1
    natively, stepwise = updates
    assert len(natively) >= 4
    assert natively == pytest.approx(stepwise, rel=1e-4, abs=1e-5)
