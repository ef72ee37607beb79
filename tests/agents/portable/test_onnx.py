"""An agent's network in ONNX takes the steps that the agent takes."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

from lukasa import memory
from lukasa.agents.portable.onnx_files import OnnxError, Step, example, export_onnx
from tests.agents.portable.playing import agent_module, exported
from tests.agents.portable.test_every_core import FIRST
from tests.memory.core_rows import ROWS

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

DENSE = [name for name in memory.CORES if not next(row for row in ROWS.values() if row.core == name).sparse]
CORES = [core if core == "gru" else pytest.param(core, marks=pytest.mark.slow) for core in DENSE]
SPACES = Dict(seen=Box(-np.inf, np.inf, (3,), np.float32), kind=Discrete(3)), Discrete(4)


@pytest.mark.parametrize("core", CORES)
def test_every_dense_core_replays_an_episode_with_resets(core, tmp_path):
    settings = {"previous_action": True, "previous_reward": True, "normalize_observations": True}
    agent = exported(agent_module(*SPACES, core, FIRST[core], **settings), tmp_path / "agent.lukasa")
    if core == "compressive_transformer":  # torch exports it, and the exporter cannot translate what it exported
        with pytest.raises(OnnxError, match="PyTorch cannot export core 'compressive_transformer'"):
            export_onnx(agent, tmp_path / "agent.onnx")
        return
    export_onnx(agent, tmp_path / "agent.onnx")
    step = Step(agent)
    session = onnxruntime.InferenceSession(tmp_path / "agent.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == step.outputs
    taken = {one.name for one in session.get_inputs()}
    generator = np.random.default_rng(0)
    state = [np.full_like(tensor.numpy(), 3) for tensor in example(agent, step)[-len(step.state_names) :]]
    state = state if step.state_names else []
    own, action, logits = agent.begin(), np.zeros((1, 4), np.float32), []
    for time in range(12):
        start = time in (0, 7)
        own, action = (agent.begin(), 0 * action) if start else (own, action)
        reward = 0.0 if start else float(generator.normal())
        seen = {"seen": generator.normal(size=3).astype(np.float32), "kind": int(generator.integers(3))}
        given = [
            np.array([start]),
            np.array([seen["kind"]]),
            seen["seen"][None],
            action,
            np.array([[reward]], np.float32),
        ]
        names = [START, "observation.kind", "observation.seen", "previous_action", "previous_reward", *step.inputs[5:]]
        feed = {name: one for name, one in zip(names, [*given, *state], strict=True) if name in taken}
        found, *state = session.run(None, feed)
        mine, own = agent.act(seen, own, reward)
        assert found.argmax() == mine
        action = np.eye(4, dtype=np.float32)[[mine]]
        logits.append(found[0])
        for name, one in zip(step.state_names, state, strict=True):
            expected = memory.state_to_dict(own.slab.state)[name].numpy()
            np.testing.assert_allclose(one, expected, rtol=1e-3, atol=2e-4, err_msg=name)
    assert np.ptp(np.stack(logits), 0).max() > 1e-3


START = "start"


def test_sparse_memories_are_refused_with_the_reason(tmp_path):
    for core in ("sam", "sdnc"):
        agent = exported(agent_module(*SPACES, core, FIRST[core]), tmp_path / "agent.lukasa")
        with pytest.raises(OnnxError, match=rf"core '{core}' has a sparse memory, which is changed in place"):
            export_onnx(agent, tmp_path / "agent.onnx")
    assert not (tmp_path / "agent.onnx").exists()


def test_missing_extra_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    agent = exported(agent_module(*SPACES), tmp_path / "agent.lukasa")
    with pytest.raises(OnnxError, match=r"pip install 'lukasa\[onnx\]'"):
        export_onnx(agent, tmp_path / "agent.onnx")


def test_step_equals_act(tmp_path):
    agent = exported(agent_module(*SPACES), tmp_path / "agent.lukasa")
    step = Step(agent)
    found = step(*example(agent, step))[0]
    action, _ = agent.act({"seen": np.zeros(3), "kind": 0})
    assert int(torch.argmax(found)) == action


def test_what_a_mask_forbids_is_never_the_largest(tmp_path):
    spaces = Dict(action_mask=Box(0, 1, (4,), np.int8), seen=Box(-np.inf, np.inf, (3,), np.float32)), Discrete(4)
    agent = exported(agent_module(*spaces), tmp_path / "agent.lukasa")
    step = Step(agent)
    names, given = step.inputs, list(example(agent, step))
    for only in range(4):
        given[names.index("observation.action_mask")] = torch.eye(4, dtype=torch.int8)[[only]]
        assert int(step(*given)[0].argmax()) == only
