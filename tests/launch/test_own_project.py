"""In a project of a user's, which has folders that are called as ours are; and out of a wheel."""

import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("agents", "benchmarks", "envs", "ground", "launch", "memory", "tasks")
OWN_ENVIRONMENT = """
import gymnasium as gym

class Counting(gym.Env):
    observation_space = gym.spaces.Box(0.0, 9.0, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return [0.0], {}

    def step(self, action):
        self.steps += 1
        return [float(self.steps)], 1.0, self.steps == 5, False, {}

gym.register("Counting-v0", entry_point="envs.mine:Counting")
"""
OWN_CORE = """
from lukasa.memory.baselines import GRU

class Small(GRU):
    pass
"""
TRAIN_TASK = "train task --task copy --core memory.mine:Small --memory.size 3 --steps 32 --batch-size 16 --out task"
TRAIN_RL = (
    "train rl --env envs.mine:Counting-v0 --core memory.mine:Small --memory.size 3 --steps 128 --envs-per-runner 2 "
    "--batch-size 128 --minibatch-size 80 --epochs 1 --ablation 0 --out run"
)


@pytest.fixture
def project(tmp_path):
    """A folder of a user's own, with packages by the names of ours."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"OWNER = 'a user with a folder {name}'\n")
    (tmp_path / "envs" / "mine.py").write_text(OWN_ENVIRONMENT)
    (tmp_path / "memory" / "mine.py").write_text(OWN_CORE)
    return tmp_path


def python(folder, *words, executable=sys.executable, paths=None):
    """What a program prints that is started in a folder."""
    environment = os.environ | ({} if paths is None else {"PYTHONPATH": paths})
    done = subprocess.run(
        [executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_are_imported_side_by_side(project):
    program = (
        f"import {', '.join(FOLDERS)}\n"
        f"from lukasa import {', '.join(f'{name} as our_{name}' for name in FOLDERS)}\n"
        "import lukasa.launch.cli, lukasa.agents.rllib, lukasa.agents.few_shot\n"
        f"assert all('a user' in one.OWNER for one in ({', '.join(FOLDERS)}))\n"
        "our_envs.make('TMaze-L10-v0').reset(seed=0)\n"
        "our_memory.make_core('ntm', input_size=3, output_size=2)\n"
        "import sys\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] in ('memory', 'envs', 'tasks')))\n"
    )
    assert python(project, "-c", program).split() == ["envs", "memory", "tasks"]


def test_the_command_serves_a_project_of_ones_own(project):
    python(project, "-m", "lukasa.launch", *TRAIN_TASK.split())
    assert "2 tasks" not in python(project, "-m", "lukasa.launch", "list", "tasks")
    python(project, "-m", "lukasa.launch", "eval", "task", "--sequences", "4")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("runners", ["0", "1"])
def test_runners_find_an_environment_in_a_folder_envs(project, runners):
    python(project, "-m", "lukasa.launch", *TRAIN_RL.split(), "--runners", runners)
    python(project, "-m", "lukasa.launch", "eval", "run", "--episodes", "2")


def test_a_folder_called_lukasa_beside_a_program_hides_nothing(tmp_path):
    (tmp_path / "lukasa").mkdir()  # as a clone is, or ~/lukasa on a machine of a cluster
    (tmp_path / "lukasa" / "README.md").touch()
    python(tmp_path, "-c", "import lukasa.memory; from lukasa import envs, launch; launch.load_agent")


@pytest.mark.slow
def test_a_wheel_installs_in_an_empty_environment_and_trains(tmp_path):
    source = tmp_path / "source"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("results/", "tests/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('..'))"
    wheel = tmp_path / python(source, "-c", build).split()[-1]
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "lukasa",
            wheel.name[: -len("-py3-none-any.whl")] + ".dist-info",
        }
        assert {"lukasa/memory/py.typed", "lukasa/launch/cluster.yaml"} <= set(archive.namelist())
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv", "--without-pip"], check=True)
    empty = tmp_path / "venv" / "bin" / "python"
    packages = next((tmp_path / "venv" / "lib").glob("python3*/site-packages"))
    python(
        tmp_path, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(packages), str(wheel)
    )
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))  # torch and so on, but no editable install
    program = "import lukasa.memory; print(lukasa.memory.__file__)"
    assert python(tmp_path, "-c", program, executable=empty, paths="").startswith(str(packages))
    train = "train task copy_ntm --steps 32 --batch-size 16 --out run"
    python(tmp_path, "-m", "lukasa.launch", *train.split(), executable=empty, paths="")
    assert (tmp_path / "run" / "config.json").is_file()
