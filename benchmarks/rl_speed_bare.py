"""A bare PyTorch loop of PPO with the agent, environments and settings of a recipe: what RLlib's way costs more.

No episodes, no connectors, no metrics: arrays [steps, copies] and one loss. It serves the recipes whose episodes are as
long as their fragments, so that no episode begins inside a row, and cores whose states are tensors.

Legend: B rows, T steps of a row, N copies of the environment.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any

import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from lukasa import envs, memory
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.benchmarks.rl_speed import MEASURED, WARM_UP
from lukasa.launch.kinds.rl.algorithms import make_config, make_module
from lukasa.launch.kinds.rl.recipes import RL_RECIPES

Columns = dict[str, Any]


class Loop:
    """A recipe's agent, acting in N copies and learning from what they gave."""

    def __init__(self, recipe: str):
        torch.manual_seed(0)
        self.experiment = RL_RECIPES[recipe]()
        self.module: MemoryRLModule = make_module(make_config(self.experiment), self.experiment)
        self.copies = self.experiment.envs_per_runner
        self.steps = self.experiment.batch_size // self.copies
        build = partial(envs.make, self.experiment.env, **self.experiment.env_settings)
        self.vector = SyncVectorEnv([build] * self.copies, autoreset_mode=AutoresetMode.SAME_STEP)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=self.experiment.lr)
        self.observation, _ = self.vector.reset(seed=0)
        self.starts = torch.ones(self.copies, dtype=torch.bool)

    def features(self, observations: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Of observations [B, T]."""
        outputs, state = memory.unroll(self.module.core, self.module.net.encode({"obs": observations}), state)
        return torch.tanh(outputs), state

    @torch.no_grad()
    def sample(self) -> Columns:
        """A batch [N, steps]; the last step of each is the one whose value is a bootstrap."""
        kept: dict[str, list[Any]] = {name: [] for name in ("obs", "action", "logp", "logits", "reward", "over")}
        chunk, states = self.experiment.max_seq_len or self.steps, []
        for step in range(self.steps + 1):
            if self.starts.all():
                self.state = self.module.core.initial_state(self.copies)
            elif self.starts.any():
                raise ValueError("an episode begins inside a row: this loop serves episodes as long as a fragment")
            if step % chunk == 0:
                states.append(self.state)
            observation = torch.as_tensor(self.observation)[:, None]
            features, state = self.features(observation, self.state)
            logits = self.module.policy_head(features[:, 0])
            policy = torch.distributions.Categorical(logits=logits, validate_args=False)
            action = policy.sample()
            kept["obs"].append(observation[:, 0])
            kept["logits"].append(logits)
            if step == self.steps:  # asked for its value alone
                break
            self.state = state
            self.observation, reward, terminated, truncated, _ = self.vector.step(action.numpy())
            self.starts = torch.as_tensor(terminated | truncated)
            found = (action, policy.log_prob(action), torch.as_tensor(reward, dtype=torch.float32), self.starts)
            for name, column in zip(("action", "logp", "reward", "over"), found, strict=True):
                kept[name].append(column)
        return {name: torch.stack(column, 1) for name, column in kept.items()} | {"states": states}

    def learn(self, batch: Columns) -> None:
        """Epochs of minibatches of whole rows."""
        options, rows = self.experiment, self.rows(batch)
        count = len(rows["action"])
        size = max(1, options.minibatch_size * count // options.batch_size)
        for _ in range(options.epochs):
            for chosen in torch.randperm(count).split(size):
                part = {name: column[chosen] for name, column in rows.items() if name != "state"}
                loss = self.loss(part, memory.state_from_dict(self.module.core, _rows(rows["state"], chosen)))
                self.optimizer.zero_grad()
                loss.backward()
                if options.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_(self.module.parameters(), options.clip_norm)
                self.optimizer.step()

    def rows(self, batch: Columns) -> Columns:
        """Chunks [B, T] of a batch, with advantages and value targets."""
        options, chunk = self.experiment, self.experiment.max_seq_len or self.steps
        with torch.no_grad():
            parts = zip(batch["obs"].split(chunk, 1), batch["states"], strict=True)
            values = [self.module.value_head(self.features(*part)[0]).squeeze(-1) for part in parts]
        value, going = torch.cat(values, 1), 1 - batch["over"].float()
        advantage, advantages = torch.zeros(self.copies), []
        for step in reversed(range(self.steps)):
            delta = batch["reward"][:, step] + options.gamma * going[:, step] * value[:, step + 1] - value[:, step]
            advantage = delta + options.gamma * options.gae_lambda * going[:, step] * advantage
            advantages.append(advantage)
        advantages = torch.stack(advantages[::-1], 1)
        columns = {name: batch[name] for name in ("obs", "action", "logp", "logits")} | {
            "advantage": (advantages - advantages.mean()) / advantages.std(),
            "target": advantages + value[:, :-1],
            "mask": torch.ones(self.copies, self.steps),
        }
        cut = {name: _chunks(column, chunk, self.steps + 1) for name, column in columns.items()}
        return cut | {"state": _joined(batch["states"])}

    def loss(self, part: Columns, state: Any) -> Tensor:
        """PPO's."""
        options, mask = self.experiment, part["mask"]
        features, _ = self.features(part["obs"], state)
        policy = torch.distributions.Categorical(logits=self.module.policy_head(features), validate_args=False)
        old = torch.distributions.Categorical(logits=part["logits"], validate_args=False)
        ratio = torch.exp(policy.log_prob(part["action"]) - part["logp"])
        clipped = ratio.clamp(1 - options.clip, 1 + options.clip)
        gain = torch.minimum(part["advantage"] * ratio, part["advantage"] * clipped)
        error = (self.module.value_head(features).squeeze(-1) - part["target"]).square()
        divergence = torch.distributions.kl_divergence(old, policy)
        each = -gain + options.value_weight * error - options.entropy * policy.entropy() + 0.2 * divergence
        return (each * mask).sum() / mask.sum()


def _chunks(column: Tensor, chunk: int, steps: int) -> Tensor:
    """[N, up to steps, ...] to [rows, chunk, ...], with zeros behind."""
    rows = -(-steps // chunk)
    padded = column.new_zeros(len(column), rows * chunk, *column.shape[2:])
    padded[:, : column.shape[1]] = column
    return padded.view(len(column), rows, chunk, *column.shape[2:]).transpose(0, 1).flatten(0, 1)


def _joined(states: list[Any]) -> dict[str, Tensor]:
    named = [memory.state_to_dict(state) for state in states]
    return {name: torch.cat([one[name] for one in named]) for name in named[0]}


def _rows(state: dict[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    return {name: tensor[chosen] for name, tensor in state.items()}


def main(recipe: str, iterations: str) -> None:
    """Measure, and print the seconds."""
    torch.set_num_threads(1)
    loop = Loop(recipe)
    seconds: dict[str, list[float]] = {"sampling": [], "learning": [], "all": []}
    for _ in range(WARM_UP + int(iterations)):
        began = time.process_time()
        batch = loop.sample()
        sampled = time.process_time()
        loop.learn(batch)
        ended = time.process_time()
        for name, passed in zip(seconds, (sampled - began, ended - sampled, ended - began), strict=True):
            seconds[name].append(passed)
    print(MEASURED + json.dumps({name: found[WARM_UP:] for name, found in seconds.items()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
