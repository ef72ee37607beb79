"""Algorithms by name: what each takes, what it is refused, and one that nobody here wrote."""

import ast
import dataclasses
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lukasa.agents import rllib
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.algorithms import make_config
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.learning import PLAIN, given_options, is_asynchronous, not_taken
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.rl.waits import watched
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.beginning import check_unchanged
from lukasa.launch.training.requests import read_request
from tests.launch.refusals import fails

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rllib.md").read_text()
SMALL = (
    "--env RepeatPrevious-k1-v0 --core gru --memory.size 4 --embedding 4 --output 4 --envs-per-runner 2 "
    "--batch-size 128 --max-seq-len 40 --ablation 0"
)
TAKEN = {
    "ppo": {"minibatch_size", "epochs", "gae_lambda", "clip", "kl_target", "value_clip"},
    "appo": {"clip", "passes", "rho_clip", "pg_rho_clip"},
    "impala": {"rho_clip", "pg_rho_clip"},
    "dqn": {one.name for one in dataclasses.fields(rllib.DQNOptions)},
    "nec": {one.name for one in dataclasses.fields(rllib.NECOptions)},
    "mbec": {one.name for one in dataclasses.fields(rllib.MBECOptions)},
    "reinforce": {"baseline", "discount_steps"},
    "mfec": {one.name for one in dataclasses.fields(rllib.MFECOptions)},
}
OTHERS: dict[str, Any] = {
    "gae_lambda": 0.5,
    "baseline": "mean",
    "discount_steps": True,
    "value_clip": 3.0,
    **dict.fromkeys(("double", "dueling", "save_replay"), False),
    "value_rescaling": True,
    "replay_capacity": 5000,
    "replay_from": "start",
    "loss": "mse",
    "hindsight": "final",
    **dict.fromkeys(("priority", "priority_correction", "priority_max", "target_share"), 0.3),
    **dict.fromkeys(("epsilon", "epsilon_end", "value_rate", "key_rate"), 0.3),
    "index": "exact",
    "projection": False,
}
"""Values that differ from the defaults, where 7 is none."""
UNSTEADY = """
from dataclasses import dataclass
from lukasa.agents.rllib import MemoryPPOConfig, NoOptions


@dataclass(frozen=True)
class Needy(NoOptions):
    width: int


@dataclass(frozen=True)
class Odd(NoOptions):
    width: complex = 1j


@dataclass(frozen=True)
class Counted(NoOptions):
    first: int = 0


@dataclass(frozen=True)
class Unknown(NoOptions):
    def training(self, learners):
        return {"nothing_like_it": 1}


class Bare(MemoryPPOConfig):
    Options = int


class NeedyPPO(MemoryPPOConfig):
    Options = Needy


class OddPPO(MemoryPPOConfig):
    Options = Odd


class CountedPPO(MemoryPPOConfig):
    Options = Counted


class UnknownPPO(MemoryPPOConfig):
    Options = Unknown
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The algorithm of docs/rllib.md, and some that cannot be used."""
    (steady,) = re.findall(r"```python\n(# steady.py\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "steady.py").write_text(steady)
    (tmp_path / "unsteady.py").write_text(UNSTEADY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("steady", "unsteady"):
        sys.modules.pop(name, None)


def test_every_algorithm_says_what_it_takes_and_how_it_learns():
    assert set(rllib.ALGORITHMS) == set(TAKEN)
    for name, config in rllib.ALGORITHMS.items():
        assert issubclass(config, rllib.MemoryConfig)
        assert set(rllib.algorithm_options(name)) == TAKEN[name]
        assert is_asynchronous(name) is config.asynchronous
        learner: Any = config().get_default_learner_class()
        assert issubclass(watched(learner, asynchronous=config.asynchronous), learner)
    assert [name for name in rllib.ALGORITHMS if is_asynchronous(name)] == ["appo", "impala"]


def test_options_of_an_algorithm_have_the_defaults_of_an_experiment_and_of_rllib():
    for name, config in rllib.ALGORITHMS.items():
        options: Any = config.Options()
        for one in dataclasses.fields(options):
            if one.name in PLAIN:
                assert getattr(options, one.name) == getattr(RLExperiment(), one.name)
        made, plain = config(), config()
        plain.training(**{key: value for key, value in options.training(1).items() if key != "clip_param"})
        for key in options.training(1):
            assert key == "clip_param" or getattr(made, key) == getattr(plain, key), (name, key)


@pytest.mark.parametrize(("algorithm", "option"), [(a, o) for a, options in TAKEN.items() for o in sorted(options)])
def test_every_option_changes_what_rllib_is_given(algorithm, option):
    def given(**options):
        config = make_config(replace(RLExperiment(algorithm=algorithm), **options))
        keys = rllib.make_algorithm_options(algorithm).training(1)
        return {key: getattr(config, key) for key in keys}

    other = OTHERS.get(option, 7)
    changed = {option: other} if option in PLAIN else {"learning": {option: other}}
    before, after = given(), given(**changed)
    assert [before[key] != after[key] for key in before].count(True) == 1


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        *(("ppo", {name: 0}) for name in ("minibatch_size", "epochs", "clip", "kl_target", "value_clip")),
        ("ppo", {"gae_lambda": 1.5}),
        ("ppo", {"gae_lambda": -0.5}),
        *(("appo", {name: 0}) for name in TAKEN["appo"]),
        *(("impala", {name: -1.0}) for name in TAKEN["impala"]),
        *(("dqn", {name: 1.5}) for name in TAKEN["dqn"] if OTHERS.get(name) == 0.3),
        *(("dqn", {name: 0}) for name in ("n_step", "replay_after", "fragment", "replay_ratio", "epsilon_steps")),
        *(("dqn", {name: -1}) for name in ("burn_in", "priority", "epsilon", "target_every", "replay_capacity")),
        ("dqn", {"burn_in": "many"}),
        *(("nec", {name: 1.5}) for name in ("epsilon", "epsilon_end", "value_rate", "key_rate")),
        *(
            ("nec", {name: 0})
            for name in ("entries", "neighbours", "n_steps", "replay", "train_every", "round", "delta")
        ),
        ("mfec", {"alike": 0.0}),
        *(("mbec", {name: 0}) for name in ("sweeps", "backups", "alike")),
        ("dqn", {"replay_after": 3000, "replay_capacity": 2000}),
    ],
)
def test_numbers_out_of_bounds_are_refused(algorithm, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}.* is .*expected"):
        rllib.make_algorithm_options(algorithm, **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            "--algorithm impala --minibatch-size 64",
            "option --minibatch-size is not for algorithm 'impala': leave it out",
        ),
        ("--algorithm impala --minibatch_size=64", "option --minibatch-size is not for algorithm 'impala'"),
        ("--algorithm impala --clip 0.1", "option --clip is not for algorithm 'impala'"),
        ("--algorithm appo --epochs 4", "option --epochs is not for algorithm 'appo', or choose another --algorithm"),
        ("--epochs 4 --algorithm=appo", "option --epochs is not for algorithm 'appo'"),
        ("--learning.rho-clip 2", "unknown option '--learning.rho-clip'"),
        ("--algorithm impala --learning.rho-clip 0", "rho_clip is 0.0: expected more than 0"),
        ("--algorithm appo --learning.passes 0", "option 'passes' of algorithm 'appo' is 0: expected a whole number"),
        ("--algorithm sarsa", "unknown algorithm 'sarsa': known are ppo, appo, impala, dqn, nec"),
        ("--algorithm sac", "there is no algorithm 'sac' here: RLlib's own has no module with a state"),
        ("--algorithm dqn --entropy 0.1", "option --entropy is not for algorithm 'dqn', or choose another --algorithm"),
        ("--algorithm dqn --value-weight 0.1", "option --value-weight is not for algorithm 'dqn'"),
        ("--algorithm dqn --learning.replay-from now", "option --learning.replay-from"),
        ("--algorithm dqn --learning.burn-in -1", "burn_in is -1: expected a whole number of at least 0"),
        ("--algorithm dqn --env Pendulum-v1", "action values can be learned for: they need Discrete"),
        ("--algorithm nec --env Pendulum-v1", "is not Discrete: an episodic agent has a dictionary for each action"),
        ("--algorithm nec --learning.index lsh", "index 'lsh' finds what lies in the same direction"),
        ("--algorithm nec --learners 1", "the dictionaries of an episodic agent are in one process"),
        ("--algorithm mfec --core gru", "core 'gru' carries a state"),
        ("--algorithm ipmala", "unknown algorithm 'ipmala': did you mean 'impala'?"),
        ("--algorithm nowhere:Own", "algorithm 'nowhere:Own': there is no module 'nowhere' to import"),
        ("--algorithm unsteady:Needy", "expected a subclass of lukasa.agents.rllib.MemoryPPOConfig, for example"),
        ("--algorithm unsteady:NeedyPPO", "option 'width' of algorithm 'unsteady:NeedyPPO' has no default"),
        ("--algorithm unsteady:OddPPO", "algorithm 'unsteady:OddPPO': an option of type <class 'complex'>"),
        ("--algorithm steady:SteadyPPO --learning.steadines 2", "did you mean '--learning.steadiness'?"),
        ("--algorithm unsteady:Bare", "algorithm 'unsteady:Bare' is Bare: expected Options that are a dataclass"),
        ("--algorithm unsteady:UnknownPPO", "'unsteady:UnknownPPO' fails with its options: TypeError"),
        ("--algorithm unsteady:CountedPPO --clip 1", "option --clip is not for algorithm 'unsteady:CountedPPO'"),
        ("--algorithm unsteady:CountedPPO --core gur", "unknown core 'gur'"),
        ("--algorithm steady:SteadyPPO --clip 0", "option --clip is 0.0: expected more than 0"),
    ],
)
def test_what_an_algorithm_does_not_take_is_refused_in_one_sentence(own, capsys, options, told):
    said = fails(capsys, "train", "rl", "--out", "run", *options.split())
    assert all(part in said for part in told.split(", or "))
    assert not (own / "run").exists()


def test_values_of_ones_own_options_are_its_own_business(own):
    rl = kind_of("rl")
    rl.check(read_request(RL, ["--algorithm", "unsteady:CountedPPO"]).experiment)
    assert rllib.make_algorithm_options("unsteady:CountedPPO", first=-3).first == -3  # pyright: ignore


def test_help_shows_what_the_algorithm_takes_and_no_more(own, capsys):
    shown = {}
    for name in (*TAKEN, "steady:SteadyPPO"):
        with pytest.raises(SystemExit):
            main(["train", "rl", "--algorithm", name, "--help"])
        shown[name] = capsys.readouterr().out
    every = set().union(*TAKEN.values())
    for name, taken in TAKEN.items():
        for option in every:
            spelt = f"--{'' if option in PLAIN else 'learning.'}{option.replace('_', '-')}"
            assert bool(re.search(f"  {spelt}[ ,]", shown[name])) == (option in taken), (name, option)
    assert "--learning.steadiness X" in shown["steady:SteadyPPO"]
    assert "Weight of the squared logits in the loss. [0.01]" in shown["steady:SteadyPPO"]


def test_algorithms_are_listed_with_what_they_take(capsys):
    assert main(["list", "algorithms", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["algorithms"]
    assert {row["name"]: {one["name"] for one in row["options"]} for row in rows} == TAKEN
    assert all(one["help"] for row in rows for one in row["options"])


def test_recipe_with_another_algorithm_keeps_what_that_one_takes():
    asked = read_request(RL, ["repeat_previous_gru", "--algorithm", "appo"]).experiment
    recipe = RL.make("repeat_previous_gru")
    assert recipe.clip != RLExperiment().clip
    assert asked == replace(recipe, algorithm="appo", memory=asked.memory, learning=asked.learning)
    assert given_options(asked) == {"clip": recipe.clip, "passes": 2, "rho_clip": 1.0, "pg_rho_clip": 1.0}


@pytest.mark.parametrize("algorithm", list(TAKEN))
def test_run_of_before_there_were_groups_goes_on_unchanged(tmp_path, algorithm):
    saved = {**dataclasses.asdict(RLExperiment(algorithm=algorithm)), "minibatch_size": 128, "epochs": 3}
    del saved["learning"]
    (tmp_path / "run").mkdir()
    config = {"format": 1, "kind": "rl", "step_key": "env_steps", "recipe": None, "experiment": saved}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    request = read_request(RL, ["--out", str(tmp_path / "run"), "--resume", "--steps", "300000"])
    opened = open_run(tmp_path / "run")
    check_unchanged(kind_of("rl"), opened, request.experiment)
    assert (request.experiment.minibatch_size, request.experiment.epochs) == (128, 3)
    assert set(given_options(request.experiment)) == TAKEN[algorithm]
    assert set(not_taken(algorithm)) == set(PLAIN) - TAKEN[algorithm] | set(rllib.ALGORITHMS[algorithm].not_taken)
    if algorithm == "appo":
        request = read_request(RL, ["--out", str(tmp_path / "run"), "--resume", "--learning.passes", "3"])
        with pytest.raises(UserError, match="was written with --learning"):
            check_unchanged(kind_of("rl"), opened, request.experiment)


@pytest.mark.ray
def test_algorithm_of_ones_own_trains_goes_on_and_is_evaluated(own, ray_cluster, capsys):
    words = f"train rl {SMALL} --algorithm steady:SteadyPPO --learning.steadiness 2 --minibatch-size 64 --epochs 1"
    assert main([*words.split(), "--steps", "128", "--out", "run"]) == 0
    run, config = open_run(own / "run")
    assert config["experiment"]["learning"] == {"steadiness": 2.0}
    assert len(read_metrics(run)) == 1
    assert main(["train", "rl", "--out", "run", "--resume", "--steps", "256"]) == 0
    assert read_metrics(run)[-1]["env_steps"] >= 256
    assert main(["eval", "run", "--episodes", "2"]) == 0
    said = fails(capsys, "train", "rl", "--out", "run", "--resume", "--steps", "300", "--learning.steadiness", "3")
    assert "was written with --learning" in said


NAMES = {"ppo", "appo", "impala", "dqn", "nec", "mfec", "mbec", "reinforce"}


def compared(text):
    """The lines of a program in which an algorithm's name is compared, matched or a key."""
    for node in ast.walk(ast.parse(text)):
        parts: list[Any] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key]
        named = [one for part in parts for one in ast.walk(part) if isinstance(one, ast.Constant)]
        if any(one.value in NAMES for one in named):
            yield node.lineno  # pyright: ignore[reportAttributeAccessIssue]


def test_no_algorithm_is_known_by_its_name_outside_of_the_table():
    assert list(compared('x = algorithm == "ppo"\ny = {"appo": 1}\nz = algorithm in ("ppo", "b")\n')) == [1, 2, 3]
    found = []
    for folder in ("agents", "launch", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += [(path.name, line) for line in compared(path.read_text())]
    assert [name for name, _ in found] == ["algorithms.py"]
