"""What `make train` promises: an agent that is nothing without its memory."""

import json

import pytest

from lukasa import memory
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.recipes import RL_RECIPES

MEMORY_ALONE = ("repeat_previous_medium_ntm", "repeat_previous_ntm")


@pytest.mark.parametrize("recipe", MEMORY_ALONE)
def test_recipe_leaves_nothing_to_remember_with_but_the_memory(recipe: str):
    experiment = RL_RECIPES[recipe]()
    core = memory.make_core(experiment.core, input_size=4, output_size=4, **experiment.memory)
    assert memory.state_parts(core) == ("memory",)
    assert (experiment.previous_action, experiment.previous_reward) == (False, False)


@pytest.mark.slow
@pytest.mark.ray
def test_trained_agent_needs_its_memory(tmp_path, ray_cluster, capsys):
    out = str(tmp_path / "run")
    assert main(["train", "rl", "repeat_previous_ntm", "--stop-at", "0.6", "--ablation", "0", "--out", out]) == 0
    capsys.readouterr()
    assert main(["eval", out, "--ablation", "--json"]) == 0
    intact, wiped = json.loads(capsys.readouterr().out)["ablation"]
    assert (intact["without"], wiped["without"]) == (None, "memory")
    assert intact["return_mean"] > wiped["return_mean"] + 0.6
    assert wiped["return_mean"] == pytest.approx(-0.5, abs=0.1)  # guessing
