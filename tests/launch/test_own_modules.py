"""Environments and cores of one's own, in modules of the working folder."""

import subprocess
import sys

import gymnasium as gym
import pytest

from lukasa import envs, memory
from lukasa.launch.cli import main

MODULE = '''
import gymnasium as gym
from lukasa.memory.baselines import GRU


class Counting(gym.Env):
    """Shows how many steps it has taken, as a list."""

    observation_space = gym.spaces.Box(0.0, 9.0, (1,))
    action_space = gym.spaces.Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return [0], {}

    def step(self, action):
        if action not in self.action_space:
            raise ValueError(f"action {action!r} lies outside of the space")
        self.steps += 1
        return [self.steps], 1.0, self.steps == 5, False, {}


class Small(GRU):
    """A core of one's own.

    Args:
        width: of its state.
    """

    def __init__(self, input_size, output_size, width: int = 4):
        super().__init__(input_size, output_size, size=width)


class Needy(GRU):
    def __init__(self, input_size, output_size, width):
        super().__init__(input_size, output_size, size=width)


gym.register("Counting-v0", entry_point=Counting)
'''
TRAIN = (
    "train rl --env own_module:Counting-v0 --core own_module:Small --memory.width 3 --steps 128 --envs-per-runner 2 "
    "--batch-size 128 --minibatch-size 80 --epochs 1 --ablation 0 --out run"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own_module.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("import nothing_like_it\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("own_module", None)
    gym.registry.pop("Counting-v0", None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("runners", ["0", "1"])
def test_working_folder_is_searched_by_the_command_and_its_runners(folder, runners):
    def lukasa(*words):
        program = "import sys; sys.path.remove(''); from lukasa.launch.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)

    trained = lukasa(*TRAIN.split(), "--runners", runners)
    assert trained.returncode == 0, trained.stderr
    for command in ("eval run --episodes 2", "plot run"):
        answer = lukasa(*command.split())
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train rl --env own_module:Xyzzy", "module 'own_module' neither registers it nor has such a class"),
        ("train rl --env nowhere:Counting-v0", "there is no module 'nowhere' to import: start in the folder"),
        (
            "train rl --env broken_module:Counting-v7",
            "cannot be imported: ModuleNotFoundError: No module named",
        ),
        ("train rl --core own_module:Big", "core 'own_module:Big': module 'own_module' has no 'Big'"),
        (
            "train rl --core own_module:Counting",
            "is Counting: expected a subclass of lukasa.memory.Core",
        ),
        ("train task copy_ntm --core own_module:Needy", "option 'width' of core 'own_module:Needy' has no default"),
        ("train task copy_ntm --core own_module:Small --memory.with 3", "did you mean '--memory.width'?"),
    ],
)
def test_what_a_module_does_not_have_is_refused_in_one_sentence(folder, words, message, capsys):
    assert main([*words.split(), "--out", "run"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (folder / "run").exists()


def test_core_of_ones_own_serves_every_kind(folder, capsys):
    words = "train task --task copy --core own_module:Small --memory.width 3 --steps 32 --batch-size 16 --out task"
    assert main(words.split()) == 0
    words = "train few-shot --learner sequence --options.core own_module:Small --source generated --size 16 --steps 2"
    assert main([*words.split(), "--options.channels", "4", "--out", "shots"]) == 0
    for run in ("task", "shots"):
        counted = ("--sequences", "4") if run == "task" else ("--episodes", "4")
        assert main(["eval", run, *counted]) == 0


def test_options_of_ones_own_core_are_its_parameters(folder):
    main(["--version"])
    sys.path.append(str(folder))
    assert {name: one.annotation for name, one in memory.core_options("own_module:Small").items()} == {"width": int}
    with pytest.raises(memory.UnknownNameError, match="'witdh': did you mean 'width'"):
        memory.make_core("own_module:Small", input_size=2, output_size=2, witdh=3)
    assert envs.make("own_module:Counting").reset()[0].tolist() == [0.0]
