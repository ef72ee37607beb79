"""``load_agent`` and ``rollout``: what was trained, in a program of one's own."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from lukasa import envs
from lukasa.agents.few_shot import ClassAgent
from lukasa.agents.rllib import RLAgent
from lukasa.agents.sequence import CoreAgent
from lukasa.ground.mistakes import UserError
from lukasa.launch import load_agent, rollout
from lukasa.launch.cli import main
from lukasa.launch.kinds.few_shot.data import make_shots
from lukasa.launch.kinds.few_shot.evaluation import load_learner
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.kinds.supervised.evaluation import load_core
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.supervised.settings import make_sampler
from lukasa.launch.runs.directory import open_run

TASK_WORDS = "train task --task copy --core ntm --memory.slots 8 --memory.word-size 4 --steps 64 --batch-size 16"
SHOT_WORDS = (
    "train few-shot --learner prototypical --options.channels 4 --source generated --part fit --size 16 "
    "--ways 3 --queries 2 --steps 4"
)
RL_WORDS = (
    "train rl --env RepeatPrevious-k1-v0 --core ntm --memory.slots 8 --memory.word-size 4 --steps 400 "
    "--envs-per-runner 2 --batch-size 128 --minibatch-size 80 --epochs 1 --previous-action --previous-reward "
    "--ablation 0"
)


def trained(folder, words):
    assert main([*words.split(), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def task_run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "task", TASK_WORDS)


@pytest.fixture(scope="module")
def shot_run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "shot", SHOT_WORDS)


@pytest.fixture(scope="module")
def rl_run(tmp_path_factory, ray_cluster):
    return trained(tmp_path_factory.mktemp("runs") / "rl", RL_WORDS)


def test_core_reads_step_by_step_what_it_reads_at_once(task_run):
    agent = load_agent(task_run)
    assert isinstance(agent, CoreAgent)
    run, config = open_run(task_run)
    experiment = TASK.from_json(config["experiment"])
    inputs = make_sampler("copy", "test", {}).sample(2, torch.Generator().manual_seed(0)).inputs
    core = load_core(run, experiment, "best").core
    state, expected = core.initial_state(2), []
    with torch.no_grad():
        for step in inputs.unbind(1):
            output, state = core(step, state)
            expected.append(output)
    expected = torch.stack(expected, 1).numpy()
    assert np.allclose([agent.act(step) for step in inputs[0]], expected[0], atol=1e-5)
    agent.reset()
    assert np.allclose([agent.act(step.tolist()) for step in inputs[1]], expected[1], atol=1e-5)
    both = load_agent(task_run / "checkpoints" / agent_checkpoint(task_run), copies=2)
    both.act(np.ones((2, core.input_size)))
    both.reset([True, True])
    assert np.allclose([both.act(step) for step in inputs.unbind(1)], expected.swapaxes(0, 1), atol=1e-5)
    assert both.answer(expected[0]).shape == (inputs.shape[1], 8)


def agent_checkpoint(path):
    return sorted(one.name for one in (path / "checkpoints").iterdir())[-1]


def test_learner_names_by_labels_of_ones_own(shot_run):
    agent = load_agent(shot_run, checkpoint="last")
    assert isinstance(agent, ClassAgent)
    run, config = open_run(shot_run)
    experiment = FEW_SHOT.from_json(config["experiment"])
    shots = make_shots(experiment, "validation", ways=3, shots=2)
    episode = shots.sample(1, torch.Generator().manual_seed(0))
    labels = ["ka", "ka", "sa", "sa", "ta", "ta"]
    agent.adapt(episode.support[0].flatten(0, 1).numpy(), labels)
    queries = episode.query[0].flatten(0, 1)
    learner = load_learner(run, experiment, "last").learner
    with torch.no_grad():
        expected = learner(episode.support, queries[None])[0]
    assert np.allclose(agent.scores(queries), expected, atol=1e-5)
    assert agent.predict(queries) == [["ka", "sa", "ta"][place] for place in expected.argmax(-1)]
    memory = agent.class_memory(slots=10)
    memory.learn(queries, torch.arange(len(queries)))
    assert memory.answer(queries).tolist() == list(range(len(queries)))
    for examples, names, message in (
        (queries, ["a"], "6 examples came with 1 labels"),
        (queries[:3], ["a", "a", "b"], "give as many of each class"),
        ((255 * queries).to(torch.uint8), list("aabbcc"), "in floating point and scaled as in training"),
    ):
        with pytest.raises(ValueError, match=message):
            agent.adapt(examples, names)
    agent.reset()
    with pytest.raises(ValueError, match="no class is known yet"):
        agent.predict(queries)


@pytest.mark.ray
def test_agent_earns_what_eval_reports_and_plays_what_rollout_plays(rl_run, capsys):
    capsys.readouterr()
    assert main(["eval", str(rl_run), "--episodes", "2", "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    threads = torch.get_num_threads()
    agent = load_agent(rl_run)
    assert isinstance(agent, RLAgent)
    assert torch.get_num_threads() == threads
    env = envs.make("RepeatPrevious-k1-v0")
    episodes = rollout(rl_run, env, 2, seed=reported["seed"])
    returns = []
    for number, episode in enumerate(episodes):
        agent.reset()
        observation, _ = env.reset(seed=envs.stream_seed(reported["seed"], number))
        total, reward, done, taken = 0.0, None, False, []
        while not done:
            action = agent.act(observation, reward)
            assert action in env.action_space
            observation, reward, terminated, truncated, _ = env.step(action)
            total, done = total + reward, terminated or truncated
            taken.append(action)
        assert taken == episode.actions.tolist()
        returns.append(total)
    assert np.mean(returns) == pytest.approx(reported["return_mean"], abs=1e-9)


@pytest.mark.ray
def test_agent_plays_in_another_process_without_ray(rl_run, tmp_path):
    script = tmp_path / "play.py"
    script.write_text(
        "import ray, envs\n"
        "from lukasa.launch import load_agent\n"
        f"agent, env = load_agent({str(rl_run)!r}), envs.make('RepeatPrevious-k1-v0')\n"
        "observation, _ = env.reset(seed=0)\n"
        "print(agent.act(observation) in env.action_space, ray.is_initialized())\n"
    )
    answer = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "False"]


@pytest.mark.ray
def test_what_is_not_there_or_not_of_the_kind_is_refused(rl_run, task_run, shot_run, tmp_path):
    for call, message in (
        (lambda: load_agent(tmp_path), "is not a run"),
        (lambda: load_agent(tmp_path / "none"), "there is no run at"),
        (lambda: load_agent(rl_run, checkpoint="bets"), "has no checkpoint 'bets'"),
        (lambda: load_agent(task_run, explore=True), "draws no actions"),
        (lambda: load_agent(shot_run, copies=2), "leave copies out"),
        (lambda: load_agent(shot_run, task=2), "which has one agent and not one for each task: leave task out"),
        (lambda: rollout(task_run, "RepeatPrevious-k1-v0", 1), "only agents of `lukasa train rl` play"),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_importing_launch_stays_cheap():
    program = "import sys, lukasa.launch; print([name for name in ('torch', 'ray', 'numpy') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
