"""Sizes that contradict each other are refused in terms of options; all that pass train."""

import itertools
from dataclasses import replace

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.algorithms import make_config
from lukasa.launch.kinds.rl.batches import chunk_length
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.options import RL
from tests.launch.refusals import fails

SMALL = RLExperiment(env="RepeatPrevious-k1-v0", core="gru", memory={"size": 4}, embedding=4, output=4, epochs=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--batch-size 128 --minibatch-size 64 --envs-per-runner 2",
            "--minibatch-size 64 has fewer steps than one chunk of backpropagation through time (chunks have 65 with "
            "--batch-size 128 from 2 copies): take --minibatch-size 65 or more, or --max-seq-len 64 or less",
        ),
        ("--batch-size 128 --minibatch-size 64 --max-seq-len 100", "(--max-seq-len is 100): take --minibatch-size 100"),
        ("--batch-size 40 --minibatch-size 40 --envs-per-runner 1", "take --batch-size and --minibatch-size of 41"),
        (
            "--batch-size 512 --minibatch-size 128 --envs-per-runner 8 --learners 2 --max-seq-len 65",
            "--minibatch-size 128, 64 for each of 2 learners has fewer",
        ),
        ("--learners 2 --envs-per-runner 1", "take --envs-per-runner 2 or more"),
        ("--algorithm appo --aggregators 1", "--aggregators 1 is for processes that learn, and --learners is 0"),
        ("--algorithm impala --batch-size 100 --learners 3", "option --batch-size is 100"),
    ],
)
def test_contradiction_is_named_by_the_options_and_nothing_is_written(tmp_path, capsys, options, said):
    out = tmp_path / "run"
    told = fails(capsys, "train", "rl", "--env", SMALL.env, "--core", "gru", "--out", str(out), *options.split())
    assert said in told
    assert not out.exists()


def test_sweep_is_refused_before_its_first_trial(tmp_path, capsys):
    out = tmp_path / "sweep"
    words = ["tune", "rl", "--env", SMALL.env, "--core", "gru", "--envs-per-runner", "2", "--minibatch-size", "64"]
    told = fails(capsys, *words, "--grid", "batch_size=64,128", "--out", str(out))
    assert "chunks have 65 with --batch-size 128 from 2 copies" in told
    assert not out.exists()


def test_every_combination_is_refused_by_us_or_taken_by_rllib():
    taken = refused = 0
    sizes = itertools.product(
        ("ppo", "appo", "impala"), (0, 1, 2), (0, 2), (0, 1), (1, 2, 16), (40, 128, 2048), (40, 64, 256), (None, 7, 64)
    )
    for algorithm, runners, learners, aggregators, copies, batch, minibatch, length in sizes:
        experiment = replace(
            SMALL,
            algorithm=algorithm,
            runners=runners,
            learners=learners,
            aggregators=aggregators,
            envs_per_runner=copies,
            batch_size=batch,
            minibatch_size=minibatch,
            max_seq_len=length,
        )
        try:
            RL.check_numbers(experiment)
            RL.check_together(experiment)
        except UserError:
            refused += 1
            continue
        config = make_config(experiment)
        config.validate()
        if algorithm == "ppo":
            assert config.model_config["max_seq_len"] == chunk_length(experiment)
        taken += 1
    assert taken > 300
    assert refused > 300


@pytest.mark.ray
def test_odd_sizes_that_pass_train(tmp_path, ray_cluster):
    options = "--core gru --memory.size 4 --embedding 4 --output 4 --epochs 1 --steps 60 --envs-per-runner 7"
    sizes = "--batch-size 50 --minibatch-size 9 --max-seq-len 9 --ablation 0"
    out = str(tmp_path / "run")
    assert main(["train", "rl", "--env", SMALL.env, "--out", out, *options.split(), *sizes.split()]) == 0
