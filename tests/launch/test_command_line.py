import dataclasses
import json
import os
import subprocess
import sys

import pytest

import lukasa.launch.cli.command
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.rl.recipes import RL_RECIPES
from lukasa.launch.kinds.table import KINDS, kind_of
from lukasa.launch.options import described
from lukasa.launch.options.fields import documented, peek, split_words
from lukasa.launch.runs.directory import create_run, describe_run
from lukasa.launch.training.requests import read_command_line
from tests.launch.refusals import fails


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [
        (["trian"], "did you mean 'train'?"),
        (["train", "rll"], "did you mean 'rl'?"),
        (["list", "envz"], "did you mean 'envs'?"),
        (["list", "--jsn"], "did you mean '--json'?"),
        (["train", "rl", "repeat_previous_nmt"], "did you mean 'repeat_previous_ntm'?"),
        (["train", "rl", "--stesp", "3"], "did you mean '--steps'?"),
        (["train", "rl", "--memory.slot", "3"], "did you mean '--memory.slots'?"),
        (["train", "rl", "--core", "gruu"], "'gru'"),
        (["train", "rl", "--env", "TMaze-L51-v0"], "did you mean 'TMaze-L50-v0'?"),
    ],
)
def test_unknown_name_tells_the_nearest_known_one(capsys, argv, nearest):
    assert nearest in fails(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["train"], "train needs to know what: train rl"),
        (["train", "rl", "--steps", "many"], "option --steps is 'many': expected a whole number"),
        (["train", "rl", "--lr", "slow"], "option --lr is 'slow': expected a number"),
        (["train", "rl", "--steps", "0"], "option --steps is 0: expected at least 1"),
        (["train", "rl", "--gamma", "1.5"], "option --gamma is 1.5: expected at most 1"),
        (["train", "rl", "--lr", "0"], "option --lr is 0.0: expected more than 0"),
        (["train", "rl", "--batch-size", "64"], "option --minibatch-size is 256: expected at most the batch size, 64"),
        (["train", "rl", "--memory.shifts", "2"], "expected an odd number"),
        (["train", "rl", "--memory.controller", "rnn"], "'lstm', 'gru', 'feedforward', 'attention'"),
        (["train", "rl", "--resume"], "--resume needs to know which run: add --out DIR"),
        (["train", "rl", "--checkpoint", "last"], "it needs --resume"),
        (["train", "rl", "tmaze_ntm", "more"], "takes one recipe, got 'tmaze_ntm more'"),
        (["eval"], "takes one run directory"),
        (["eval", "RUN"], "there is no run at RUN"),
        (["plot"], "needs at least one run directory"),
    ],
)
def test_bad_value_is_one_sentence_with_what_was_expected(capsys, argv, sentence):
    assert sentence in fails(capsys, *argv)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--episods", "3"], "did you mean '--episodes'?"),
        (["--episodes", "0"], "option --episodes is 0: expected at least 1"),
        (["--split", "test"], "unknown option '--split'"),
    ],
)
def test_options_of_eval_are_those_of_the_runs_kind(capsys, tmp_path, argv, sentence):
    experiment = dataclasses.asdict(RL_RECIPES["repeat_previous_ntm"]())
    run = create_run(tmp_path / "run", describe_run("rl", "repeat_previous_ntm", experiment))
    assert sentence in fails(capsys, "eval", str(run.path), *argv)


def test_option_of_another_core_is_unknown(capsys):
    assert "unknown option '--memory.slots'" in fails(capsys, "train", "rl", "--core", "gru", "--memory.slots", "3")


def test_missing_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    assert "lukasa[envs]" in fails(capsys, "train", "rl", "--env", "popgym-RepeatPreviousEasy-v0")


def test_unsupported_space_is_told_before_anything_is_written(capsys, tmp_path, monkeypatch):
    import gymnasium as gym

    class Words(gym.Env):
        observation_space = gym.spaces.Text(3)
        action_space = gym.spaces.Discrete(2)

    monkeypatch.setitem(gym.registry, "Words-v0", gym.envs.registration.EnvSpec("Words-v0", entry_point=Words))
    assert "Text" in fails(capsys, "train", "rl", "--env", "Words-v0", "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_core_options_are_typed_by_the_core_that_is_asked_for():
    request = read_command_line(
        "rl", ["--core", "dnc", "--memory.slots", "7", "--memory.stop-usage-gradient", "--steps", "5"]
    )
    assert request.experiment.core == "dnc"
    assert request.experiment.memory["slots"] == 7
    assert request.experiment.memory["stop_usage_gradient"] is True
    assert request.experiment.memory["word_size"] == 64  # the core's own default
    assert request.experiment.steps == 5


def test_options_change_a_recipe_and_keep_the_rest_of_it():
    request = read_command_line("rl", ["repeat_previous_ntm", "--seed", "3", "--memory.slots", "5"])
    recipe = RL_RECIPES["repeat_previous_ntm"]()
    assert (request.experiment.seed, request.experiment.memory["slots"]) == (3, 5)
    assert request.experiment.memory["word_size"] == recipe.memory["word_size"]
    assert (request.experiment.stop_at, request.experiment.env) == (recipe.stop_at, recipe.env)


def test_another_core_than_the_recipes_starts_from_its_own_defaults():
    assert read_command_line("rl", ["repeat_previous_ntm", "--core", "gru"]).experiment.memory == {
        "size": 128,
        "layers": 1,
    }


@pytest.mark.parametrize("recipe", RL_RECIPES)
def test_every_recipe_is_a_valid_experiment(recipe):
    from lukasa import envs, memory

    experiment = read_command_line("rl", [recipe]).experiment
    memory.make_core(experiment.core, input_size=2, output_size=2, **experiment.memory)
    envs.make(experiment.env).close()


@pytest.mark.parametrize(
    "words",
    [
        ["play", "copy_nmt"],
        ["view", "copy_nmt"],
        ["popgym", "RepeatPrevious", "--agents", "gruu"],
        ["reproduce", "copi"],
        ["compare", "here"],
        ["list", "copy_nmt"],
    ],
)
def test_a_misspelt_name_is_refused_without_torch(words, tmp_path):
    described.table()  # kept from here on: making it imports everything
    code = (
        f"import sys; from lukasa.launch.cli import main; code = main({words!r}); "
        "sys.exit(10 if 'torch' in sys.modules or 'ray' in sys.modules else code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("lukasa: ")


def test_help_lists_commands_and_needs_neither_torch_nor_ray():
    code = (
        "import sys, lukasa.launch.cli.command; lukasa.launch.cli.command.main(['--help']); "
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert all(name in result.stdout for name in lukasa.launch.cli.command.COMMANDS)


def test_list_needs_no_ray_and_prints_json():
    code = "import sys; from lukasa.launch.cli import main; main(['list', '--json']); sys.exit('ray' in sys.modules)"
    described.table()  # kept from here on: making it imports everything
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    found = json.loads(result.stdout)
    assert {"ntm", "dnc"} <= {core["name"] for core in found["cores"]}
    assert {"name": "slots", "type": "int", "default": 128}.items() <= found["cores"][0]["options"][0].items()
    assert "TMaze-L50-v0" in {env["id"] for env in found["envs"]}
    recipes = {recipe["name"] for recipe in found["recipes"]}
    assert recipes == {recipe for kind in KINDS for recipe in kind_of(kind).experiments.recipes}


def test_list_prints_one_list(capsys):
    assert main(["list", "cores"]) == 0
    out = capsys.readouterr().out
    assert "Neural Turing Machine" in out
    assert "recipes" not in out


def test_list_into_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m lukasa.launch list --json | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.stderr == ""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_module_runs_as_the_command_on_any_terminal(encoding):
    command = [sys.executable, "-m", "lukasa.launch", "train", "rl", "--steps", "many"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 2
    assert result.stderr == "lukasa: option --steps is 'many': expected a whole number\n"


def test_command_help_tells_options_with_their_defaults(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "rl", "repeat_previous_gru", "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--memory.size" in out
    assert "Copies of the environment" in out


def test_words_end_where_options_begin():
    assert split_words(["a", "b", "--c", "d"]) == (["a", "b"], ["--c", "d"])


def test_peek_takes_the_last_of_both_spellings():
    assert peek(["--core", "ntm", "--core=dnc"], "--core") == "dnc"
    assert peek(["--corex", "ntm"], "--core") is None


def test_documented_joins_lines_of_one_entry():
    class Documented:
        """Summary.

        Attributes:
            first: one
                and more.
            second: two.
        """

    assert documented(Documented) == {"first": "one and more.", "second": "two."}


def test_docstrings_of_a_users_core_may_be_in_another_style():
    class NumPyStyle:
        """Summary.

        Parameters
        ----------
        slots : int
            how many
            words.
        """

    class SphinxStyle:
        """Summary.

        :param slots: how many words.
        """

    assert documented(NumPyStyle) == documented(SphinxStyle) == {"slots": "how many words."}


def test_environment_settings_reach_the_environment(capsys):
    words = ["--env", "TMaze-L50-v0", "--env-settings", "corridor", "7", "--seed", "1"]
    experiment = read_command_line("rl", words).experiment
    assert experiment.env_settings == {"corridor": 7}
    assert main(["train", "rl", "--env", "TMaze-L50-v0", "--env-settings", "coridor", "7"]) == 2
    assert "did you mean 'corridor'" in capsys.readouterr().err
    assert main(["train", "rl", "--env", "TMaze-L50-v0", "--env-settings", "corridor", "-7"]) == 2
    assert "corridor" in capsys.readouterr().err


def test_another_environment_starts_from_its_own_settings():
    words = ["minigrid_memory_ntm", "--env", "TMaze-L50-v0"]
    assert read_command_line("rl", words).experiment.env_settings == {}


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["is_slippery", "False"], {"is_slippery": False}),
        (["is_slippery=false", "map_name=8x8"], {"is_slippery": False, "map_name": "8x8"}),
        (
            ["desc", '["SFF", "FFH", "FFG"]', "--env-settings", "is-slippery", "true"],
            {"desc": ["SFF", "FFH", "FFG"], "is_slippery": True},
        ),
        (["success_rate", "0.5", "max_episode_steps", "7"], {"success_rate": 0.5, "max_episode_steps": 7}),
        (["map_name", "null", "desc", "None"], {"map_name": None, "desc": None}),
    ],
)
def test_settings_that_are_not_text_reach_the_environment_and_come_back_from_the_config(words, settings):
    from lukasa import envs

    experiment = read_command_line("rl", ["--env", "FrozenLake-v1", "--env-settings", *words]).experiment
    assert experiment.env_settings == settings
    written = json.loads(json.dumps(dataclasses.asdict(experiment)))
    assert RL.from_json(written) == experiment
    if "success_rate" not in settings and "max_episode_steps" not in settings:
        env = envs.make("FrozenLake-v1", **settings)
        kwargs = env.spec.kwargs if env.spec else {}
        assert {name: kwargs[name] for name in settings} == settings
        env.close()


def test_lake_that_is_not_slippery_goes_where_it_is_told():
    from lukasa import envs

    experiment = read_command_line(
        "rl", ["--env", "FrozenLake-v1", "--env-settings", "is_slippery", "False"]
    ).experiment
    env = envs.make(experiment.env, **experiment.env_settings)
    places = set()
    for seed in range(20):
        env.reset(seed=seed)
        places.add(int(env.step(2)[0]))
    assert places == {1}


def test_settings_of_a_recipe_stay_beside_those_of_the_command_line(monkeypatch):
    recipe = dataclasses.replace(RL_RECIPES["tmaze_ntm"](), env_settings={"corridor": 7})
    monkeypatch.setitem(RL_RECIPES, "tmaze_short", lambda: recipe)
    words = ["tmaze_short", "--env-settings", "max_episode_steps", "30"]
    assert read_command_line("rl", words).experiment.env_settings == {"corridor": 7, "max_episode_steps": 30}


def test_options_of_the_core_inside_another_are_typed_and_checked(capsys):
    words = ["--core", "act", "--memory.core", "ntm", "--memory.core-options", "slots", "16", "controller", "gru"]
    for kind in ("rl", "task"):
        found = read_command_line(kind, words).experiment.memory
        assert found["core_options"] == {"slots": 16, "controller": "gru"}
    assert "'slotz': did you mean 'slots'" in fails(capsys, "train", "task", *words[:5], "slotz", "16")
    assert "'sam': its memory is changed in place" in fails(
        capsys, "train", "task", "--core", "act", "--memory.core", "sam"
    )


def test_options_of_an_index_are_typed(capsys):
    words = ["--core", "sam", "--memory.index-options", "tables", "4", "--memory.index", "lsh"]
    assert read_command_line("rl", words).experiment.memory["index_options"] == {"tables": 4}
    words[4] = "true"
    assert "expected numbers" in fails(capsys, "train", "rl", *words)
