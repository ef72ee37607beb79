"""Files, sessions and what is refused of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from safetensors.torch import save_file

from lukasa import memory
from lukasa.agents import load_agent
from lukasa.agents.portable import AgentFileError, SessionError, agent_file, drawing
from lukasa.agents.portable.agent import FORMAT
from lukasa.agents.rllib.exporting import NotExportableError, export_agent
from lukasa.agents.rllib.replay.q_module import MemoryQModule
from lukasa.agents.rllib.rollout import Player, player_of, rollout
from lukasa.memory.baselines import GRU
from tests.agents.portable.playing import Drawn, agent_module, episode, exported, same

SPACES = Box(-9.0, 9.0, (3,), np.float32), Discrete(5)
SAM = {"slots": 5, "word_size": 3, "heads": 1, "controller_size": 7, "index": "exact"}
LOOK = np.array([0.5, -3.0, 2.0], np.float32)


class OwnCore(GRU):
    """A core of one's own."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("agents") / "agent.lukasa"
    export_agent(agent_module(*SPACES, previous_reward=True), path, {"env": "drawn", "versions": {"lukasa": "9"}})
    return path


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    return exported(agent_module(*SPACES, "sam", SAM), tmp_path_factory.mktemp("agents") / "sam.lukasa")


def test_it_plays_with_torch_and_numpy_alone(file):
    program = (
        "import sys\n"
        "blocked = ['ray', 'gymnasium', 'tree', 'faiss', 'matplotlib', 'pandas', 'pickle5', 'filelock']\n"
        "sys.modules.update(dict.fromkeys(blocked))\n"
        "from lukasa.agents import load_agent\n"
        f"agent = load_agent({str(file)!r})\n"
        "action, session = agent.act([0.5, -3.0, 2.0])\n"
        "print(action, agent.act([1.0, 0.0, 0.0], session, 1.0)[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    agent = load_agent(file)
    action, session = agent.act(LOOK)
    assert done.stdout.split() == [str(action), str(agent.act([1.0, 0.0, 0.0], session, 1.0)[0])]


def test_file_says_where_it_came_from(file):
    agent = load_agent(file)
    assert agent.about == {"core": "gru", "env": "drawn", "versions": {"lukasa": "9"}}
    assert str(agent.action_space) == "Discrete(5)"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_file_cut_short_is_refused_with_its_name(file, share, tmp_path):
    whole = file.read_bytes()
    cut = tmp_path / "cut.lukasa"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AgentFileError, match=r"cut\.lukasa (holds no agent|was cut short)"):
        load_agent(cut)


def test_every_altered_byte_is_noticed(file, tmp_path):
    whole, bent = bytearray(file.read_bytes()), tmp_path / "bent.lukasa"
    for place in np.random.default_rng(0).integers(len(whole), size=40):
        whole[place] ^= 4
        bent.write_bytes(whole)
        with pytest.raises(AgentFileError, match=r"bent\.lukasa"):
            load_agent(bent)
        whole[place] ^= 4


def test_foreign_files_are_refused(file, tmp_path):
    (tmp_path / "text").write_text("{}")
    save_file({"weight": torch.zeros(2)}, tmp_path / "tensors")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "torch")
    load_agent(file).begin().save(tmp_path / "session")
    for name in ("text", "tensors", "torch", "session"):
        with pytest.raises(AgentFileError, match=rf"{name} holds no agent.*expected what `lukasa export"):
            load_agent(tmp_path / name)
    with pytest.raises(AgentFileError, match="missing cannot be read"):
        load_agent(tmp_path / "missing")
    with pytest.raises(AgentFileError, match="is a folder"):
        load_agent(tmp_path)


def rewritten(file, path, change):
    about, tensors, _ = agent_file.read(file, FORMAT, "agent")
    change(about, tensors)
    agent_file.write(path, FORMAT, about, tensors)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about, _: about["agent"].pop("head"), "an agent that this version of lukasa does not know"),
        (lambda about, _: about["agent"]["head"].update(kind="new"), "cannot be built.*'new'"),
        (lambda about, _: about["agent"]["settings"].update(core="gur"), "cannot be built.*did you mean 'gru'"),
        (lambda about, _: about["agent"]["settings"].update(core_options={"size": 9}), "weights in .* do not fit"),
        (lambda _, tensors: tensors.pop("policy_head.bias"), r"weights in .* do not fit.*policy_head\.bias"),
        (lambda about, _: about["agent"]["action_space"].update(kind="Text"), "does not know"),
        (lambda about, _: about["agent"]["settings"].update(core="os:system"), "needs code that is not of lukasa"),
    ],
)
def test_agents_that_do_not_fit_are_refused_in_one_sentence(file, tmp_path, change, message):
    with pytest.raises(AgentFileError, match=message):
        load_agent(rewritten(file, tmp_path / "other.lukasa", change))


def test_formats_to_come_are_refused_by_their_number(file, tmp_path):
    about, tensors, _ = agent_file.read(file, FORMAT, "agent")
    agent_file.write(tmp_path / "new", "lukasa agent 2", about, tensors)
    with pytest.raises(AgentFileError, match="format '2', and this version of lukasa reads '1'"):
        load_agent(tmp_path / "new")


def test_core_of_ones_own_is_imported_only_if_asked(tmp_path, monkeypatch):
    path = f"{OwnCore.__module__}:OwnCore"
    module = agent_module(*SPACES, path, {"size": 6})
    export_agent(module, tmp_path / "own.lukasa")
    with pytest.raises(AgentFileError, match=rf"needs code that is not of lukasa, {path}: if you trust it"):
        load_agent(tmp_path / "own.lukasa")
    trusted = load_agent(tmp_path / "own.lukasa", trust_core=True)
    given = load_agent(tmp_path / "own.lukasa", core=OwnCore)
    assert trusted.act(LOOK)[0] == given.act(LOOK)[0]
    gone = rewritten(
        tmp_path / "own.lukasa", tmp_path / "gone", lambda about, _: about["agent"]["settings"].update(core="gone:Core")
    )
    with pytest.raises(AgentFileError, match=r"the core of .*gone, gone:Core, cannot be built"):
        load_agent(gone, trust_core=True)


def test_core_inside_another_needs_trust_too(file, tmp_path):
    def change(about, _):
        about["agent"]["settings"] |= {"core": "act", "core_options": {"core": "os:system"}}

    for core in (None, memory.CORES["act"]):
        with pytest.raises(AgentFileError, match="os:system"):
            load_agent(rewritten(file, tmp_path / "inside", change), core=core)


def test_dense_sessions_are_values(file):
    agent = load_agent(file)
    _, first = agent.act(LOOK)
    one, _ = agent.act(-LOOK, first, 1.0)
    agent.act(LOOK, first, -5.0)
    assert agent.act(-LOOK, first, 1.0)[0] == one
    assert first.steps == 1


def test_sparse_session_can_be_used_once_and_branched_by_copies(sparse):
    _, first = sparse.act(LOOK)
    branch = first.copy()
    one = sparse.act(-LOOK, first)
    with pytest.raises(SessionError, match="already used for a step"):
        sparse.act(-LOOK, first)
    with pytest.raises(SessionError, match="already used for a step"):
        first.to_bytes()
    assert sparse.act(-LOOK, branch)[0] == one[0]
    sessions = sparse.begin(3)
    _, later = sparse.act(np.stack([LOOK] * 3), sessions)
    with pytest.raises(SessionError, match="already used"):
        sparse.act([LOOK, LOOK], [sessions[0], later[1]])


@pytest.mark.parametrize("core", ["gru", "sam"])
def test_reset_rows_begin_anew(core, tmp_path):
    agent = exported(agent_module(*SPACES, core, SAM if core == "sam" else {}), tmp_path / "agent.lukasa")
    looks = np.random.default_rng(0).normal(size=(6, 3, 3)).astype(np.float32)
    sessions = agent.begin(3)
    for observations in looks[:3]:
        _, sessions = agent.act(observations, sessions)
    sessions = sessions.reset([False, True, False])
    assert sessions.steps.tolist() == [3, 0, 3]
    actions, sessions = agent.act(looks[3], sessions)
    assert actions[1] == agent.act(looks[3, 1])[0]
    with pytest.raises(SessionError, match="does not fit 3 sessions"):
        sessions.reset([True])
    with pytest.raises(SessionError, match="not all of 3 sessions"):
        sessions.reset([4])


def test_drawn_actions_repeat_with_their_seed_whoever_is_beside(file):
    one, other = (load_agent(file, explore=True, seed=3) for _ in range(2))
    looks = [LOOK] * 40
    together, _ = one.act(looks, one.begin(40))
    assert list(together) == [other.act(LOOK)[0] for _ in range(40)]
    assert len(set(together)) > 1
    assert list(load_agent(file, explore=True, seed=4).act(looks, [None] * 40)[0]) != list(together)


def test_draws_follow_their_distribution():
    layout = drawing.ActionLayout(Box(-np.inf, np.inf, (2,)))
    keys, steps = drawing.mixed(np.arange(40_000, dtype=np.uint64)), np.zeros(40_000, np.int64)
    logits = torch.tensor([1.0, -2.0, 0.0, np.log(3.0)]).expand(40_000, 4)
    numbers = drawing.drawn(layout, logits, keys, steps)
    np.testing.assert_allclose(numbers.mean(0), [1, -2], atol=0.06)
    np.testing.assert_allclose(numbers.std(0), [1, 3], rtol=0.02)
    chances = np.array([0.1, 0.6, 0.3])
    logits = torch.from_numpy(np.log(chances)).expand(40_000, 3)
    choices = drawing.drawn(drawing.ActionLayout(Discrete(3)), logits, keys, steps + 5)[:, 0]
    np.testing.assert_allclose(np.bincount(choices.astype(int)) / 40_000, chances, atol=0.01)
    assert abs(np.corrcoef(drawing.uniform(keys, steps, 2).T)[0, 1]) < 0.02
    assert (
        abs(np.corrcoef(drawing.uniform(keys, steps, 1)[:, 0], drawing.uniform(keys, steps + 1, 1)[:, 0])[0, 1]) < 0.02
    )


def test_sessions_of_another_agent_are_refused(file, sparse, tmp_path):
    agent = load_agent(file)
    session = sparse.begin()
    for call in (
        lambda: agent.act(LOOK, session),
        lambda: agent.act([LOOK], [session]),
        lambda: agent.act([LOOK, LOOK], [agent.begin(), session]),
        lambda: agent.restore(session.to_bytes()),
    ):
        with pytest.raises(SessionError, match=r"session is of another agent \(sam on drawn\) than gru on drawn"):
            call()
    assert load_agent(file).restore(agent.begin().to_bytes()).steps == 0
    with pytest.raises(AgentFileError, match="this session holds no session"):
        agent.restore(b"nonsense")
    with pytest.raises(AgentFileError, match=r"agent\.lukasa holds no session, but 'lukasa agent 1'"):
        agent.restore(file)


def test_mistakes_of_the_caller_are_one_sentence(file):
    agent = load_agent(file)
    _, session = agent.act(LOOK)
    for call, message in (
        (lambda: agent.act([1.0, 2.0], session, 0.0), "expects shape"),
        (lambda: agent.act(LOOK, session), "trained with previous_reward"),
        (lambda: agent.act([LOOK], agent.begin(2)), "1 observations were given with 2 sessions"),
        (lambda: agent.act([LOOK], [3]), "a int is no session"),
        (lambda: agent.act([LOOK], 3), "a int is no session"),
        (lambda: agent.begin(-1), "expected a whole number, 0 or more"),
        (lambda: agent.begin(True), "expected a whole number, 0 or more"),
        (lambda: agent.act([0, np.nan, 0]), "observation 0 has the number nan: expected finite numbers"),
        (lambda: agent.act(np.stack([LOOK, LOOK * np.inf]), agent.begin(2)), "observation 1 has the number inf"),
        (lambda: agent.act([0, 1e39, 0]), "has the number inf"),
        (lambda: agent.act(LOOK, session, np.nan), "reward 0 is nan: expected a finite number"),
        (lambda: agent.act([LOOK], [session], [None]), "reward 0 is nan: expected a finite number"),
        (lambda: agent.act(LOOK, session, 1e39), r"reward 0 is 1e\+39: expected a finite number"),
        (lambda: agent.act(LOOK, session, [1.0, 2.0]), r"reward is \[1.0, 2.0\]: expected one number, or 1"),
        (lambda: agent.act(LOOK, session, "much"), "reward is much: expected one number, or 1"),
        (lambda: agent.begin(3).reset([0.5]), "expected a mask of 3 booleans, or whole numbers"),
        (lambda: agent.begin(3).reset(None), "expected a mask of 3 booleans, or whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    agent.act([LOOK, LOOK], [session, None], [1.0, None])  # nothing was earned where an episode begins


@pytest.mark.parametrize("core", ["gru", "sam"])
def test_no_sessions_take_a_step_and_are_restored(core, tmp_path):
    agent = exported(agent_module(*SPACES, core, SAM if core == "sam" else {}), tmp_path / "agent.lukasa")
    for observations in ([], np.zeros((0, 3), np.float32)):
        actions, sessions = agent.act(observations, agent.begin(0))
        assert (actions.shape, len(sessions)) == ((0,), 0)
    assert len(agent.restore(agent.begin(0).to_bytes())) == 0
    assert len(agent.begin(3)[[]]) == 0


def test_wiped_agent_plays_as_rollout_without_that_part(tmp_path):
    module = agent_module(*SPACES, "ntm", {"slots": 5, "word_size": 3})
    agent, env = exported(module, tmp_path / "agent.lukasa"), Drawn(*SPACES, length=20)
    (expected,) = rollout(module, env, 1, seed=1, without="memory")
    assert episode(agent.without("memory"), env, 1)[0] == list(expected.actions)
    assert episode(agent, env, 1)[0] == list(rollout(module, env, 1, seed=1)[0].actions)


@pytest.mark.parametrize("taken", [Discrete(5), Discrete(5, start=2)])
def test_agent_of_action_values_plays_from_its_file(tmp_path, taken):
    module = agent_module(SPACES[0], taken, kind=MemoryQModule)
    agent, env = exported(module, tmp_path / "agent.lukasa"), Drawn(SPACES[0], taken, length=20)
    (expected,) = rollout(module, env, 1, seed=1)
    assert same(np.array(episode(agent, env, 1)[0]), expected.actions)
    agent.explore = True
    assert len(set(agent.act([LOOK] * 200, agent.begin(200))[0])) == 5


def test_what_cannot_be_exported_says_why(tmp_path):
    class Own(MemoryQModule):
        pass

    with pytest.raises(NotExportableError, match="an agent of Own cannot be exported"):
        export_agent(agent_module(*SPACES, kind=Own), tmp_path / "agent.lukasa")
    player = player_of(agent_module(*SPACES))

    class Piece(type(player.env_to_module.connectors[0])):
        pass

    player.env_to_module.append(Piece())
    with pytest.raises(NotExportableError, match="with the connector Piece cannot be exported"):
        export_agent(Player(player.module, player.env_to_module, player.module_to_env), tmp_path / "agent.lukasa")
    assert os.listdir(tmp_path) == []


def test_metadata_is_json(file):
    header = file.read_bytes()
    length = int.from_bytes(header[:8], "little")
    about = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["about"])
    assert about["agent"]["settings"]["core"] == "gru"
    assert about["agent"]["observation_space"]["shape"] == [3]
