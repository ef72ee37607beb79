"""The learner: returns into the dictionaries, and what was kept learned from again.

Legend: B rows, T steps of a row, K width of a key, M steps.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from ray.rllib.connectors.learner import AddOneTsToEpisodesAndTruncate
from ray.rllib.core import ALL_MODULES, DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, NUM_ENV_STEPS_TRAINED_LIFETIME
from ray.rllib.utils.postprocessing.episodes import remove_last_ts_from_episodes_and_restore_truncateds
from torch import Tensor

from lukasa.agents.policy.normalization import add
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.episodic.options import MBECOptions, NECOptions
from lukasa.agents.rllib.episodic.planning import Model, Transitions, joined, plan, transitions_of
from lukasa.agents.rllib.episodic.replay import RETURNS, Replay
from lukasa.agents.rllib.episodic.returns import Known, Last, OpenEpisodes, Steps, best_of
from lukasa.agents.rllib.module import MEMORY_COST, PREVIOUS_ACTION, PREVIOUS_REWARD

KEPT = (Columns.OBS, Columns.STATE_IN, Columns.SEQ_LENS, Columns.ACTIONS, PREVIOUS_ACTION, PREVIOUS_REWARD)
"""Columns of a batch that are learned from again."""


class EpisodicLearner(TorchLearner):
    """The share of all episodic learners: returns go into the dictionaries, the scale of observations is set once.

    What is observed is scaled by the moments of the first batch and no later one: keys made with another scale would
    not be found again.
    """

    def build(self) -> None:
        """As RLlib's, with a step more of every fragment, whose observation the last reward led to."""
        super().build()
        assert self._learner_connector is not None
        self._learner_connector.prepend(AddOneTsToEpisodesAndTruncate())
        config: Any = self.config
        options = self.options = config.episodic
        self.open = OpenEpisodes(getattr(options, "n_steps", None), config.gamma)
        self.generator = torch.Generator().manual_seed(self.config.seed or 0)
        self.replay: Replay | None = None
        self._owed = 0.0  # batches that the steps taken in so far have earned

    def update(  # pyright: ignore
        self, *, training_data: TrainingData, timesteps: dict[str, Any], _no_metrics_reduce: bool = False, **kwargs: Any
    ) -> Any:
        """Take in episodes, then learn from what is kept."""
        self.before_gradient_based_update(timesteps=timesteps)
        training_data.validate()
        training_data.solve_refs()
        self._weights_seq_no += 1
        steps = sum(len(episode) for episode in training_data.episodes or [])
        self._take_in(training_data)
        self._learn(steps)
        step = int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        head: Any = self._agent().policy_head
        head.epsilon.fill_(self.options.epsilon_at(step))
        lifetime = (ALL_MODULES, NUM_ENV_STEPS_TRAINED_LIFETIME)
        self.metrics.log_value(lifetime, steps, reduce="lifetime_sum", with_throughput=True)
        self.after_gradient_based_update(timesteps=timesteps)
        return None if _no_metrics_reduce else self.metrics.reduce()

    def _take_in(self, training_data: TrainingData) -> None:
        """Episodes into the dictionaries, and to where they are learned from again."""
        episodes: Any = training_data.episodes
        lengths = [len(episode) for episode in episodes]
        names = [(episode.id_, episode.is_terminated, episode.is_truncated) for episode in episodes]
        made: Any = self._make_batch_if_necessary(training_data=training_data)
        columns = made.policy_batches[DEFAULT_MODULE_ID]
        remove_last_ts_from_episodes_and_restore_truncateds(episodes, [over for _, _, over in names])
        for episode, (name, _, _) in zip(episodes, names, strict=True):
            episode.id_ = name
        self._scale(columns)
        keys = self._agent().keys(columns).flatten(0, 1)  # [B T, K]
        masks = self._agent().allowed(columns[Columns.OBS])  # [B, T, A]
        masks = None if masks is None else masks.flatten(0, 1)
        places = self._keep(columns)
        found, begin, width = [], 0, int(columns[Columns.LOSS_MASK].shape[1])
        for episode, length, (name, terminated, over) in zip(episodes, lengths, names, strict=True):
            mine = slice(begin, begin + length)
            actions = torch.as_tensor(np.asarray(episode.get_actions())).view(-1).long()
            rewards = np.asarray(episode.get_rewards(), np.float64)
            steps = Steps(keys[mine], actions, rewards, places[mine], None if masks is None else masks[mine])
            last = Last(keys[begin + length], None if masks is None else masks[begin + length])
            found.append(self._episode(name, steps, last, terminated=terminated, truncated=over))
            begin += -(-(length + 1) // width) * width
        self._remember(found)

    def _episode(self, name: str, steps: Steps, last: Last, *, terminated: bool, truncated: bool) -> Any:
        """What a fragment tells of; ``_remember`` is given that of all."""
        return self.open.add(name, steps, last, terminated=terminated, truncated=truncated, values=self._values)

    def _remember(self, found: list[Any]) -> None:
        """Put returns into the dictionaries, and beside the steps that are learned from again."""
        known = Known(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        self._agent().dictionary.update(known.actions, known.keys, known.returns)
        if self.replay is not None:
            self.replay.set_returns(known.places, known.returns)

    def _keep(self, columns: Any) -> Tensor:
        """Places of all steps, [B T]."""
        return torch.zeros(columns[Columns.LOSS_MASK].numel(), dtype=torch.int64)

    def _learn(self, steps: int) -> None:
        """Learn from what is kept, after so many new steps."""

    def _values(self, keys: Tensor, allowed: Tensor | None) -> np.ndarray:
        """The value of the best action for keys [M, K], of those that are allowed."""
        with torch.no_grad():
            return best_of(self._agent().dictionary(keys, touch=False), allowed).double().numpy()

    def _scale(self, columns: Any) -> None:
        """Set the scale of observations by the first batch."""
        normalizer = self._agent().net.normalizer
        if normalizer:
            seen, mask = columns[Columns.OBS], columns[Columns.LOSS_MASK]
            measured = normalizer.measure(seen, mask, columns.get(PREVIOUS_REWARD))
            if all(not one.count for one, _ in measured):
                add(measured)

    def _agent(self) -> EpisodicModule:
        return cast(EpisodicModule, self.module[DEFAULT_MODULE_ID].unwrapped())

    def compute_loss_for_module(self, *, module_id: Any, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """Mean square of Q(s_t, a_t) less the return, over the steps whose return is known; and what the core costs."""
        features, known = fwd_out[Columns.EMBEDDINGS], batch[Columns.LOSS_MASK]
        actions = batch[Columns.ACTIONS][known].long()
        loss = F.mse_loss(self._agent().dictionary(features[known], actions), batch[RETURNS][known])
        cost = fwd_out.get(MEMORY_COST)
        return loss if cost is None else loss + cost


class MFECLearner(EpisodicLearner):
    """The learner of model-free episodic control, which has nothing to learn by gradient."""

    def configure_optimizers_for_module(self, module_id: Any, config: Any = None) -> None:
        """None: no weight is learned."""


class MBECLearner(MFECLearner):
    """The learner of model-based episodic control: it remembers transitions, and plans with them."""

    options: MBECOptions

    def _episode(self, name: str, steps: Steps, last: Last, *, terminated: bool, truncated: bool) -> Transitions:
        """Its transitions."""
        return transitions_of(steps, last, terminated=terminated)

    def _remember(self, found: list[Transitions]) -> None:
        """Put transitions into the dictionaries, and plan."""
        agent = self._agent()
        if agent.model is None:
            agent.model = Model(agent.dictionary)
        agent.model.add(joined(found))
        config: Any = self.config
        plan(agent.model, config.gamma, self.options.sweeps, self.options.backups, self.generator)


class NECLearner(EpisodicLearner):
    """The learner of Neural Episodic Control."""

    options: NECOptions

    def _keep(self, columns: Any) -> Tensor:
        kept = {name: columns[name] for name in KEPT if name in columns}
        width = columns[Columns.LOSS_MASK].shape[1]
        if self.replay is None:
            self.replay = Replay(self.options.replay // width, width)
        return self.replay.add(kept).flatten()

    def _learn(self, steps: int) -> None:
        assert self.replay is not None
        self._owed += steps / self.options.train_every
        rows = max(1, round(self.options.replayed / self.replay.steps))
        while self._owed >= 1:
            self._owed -= 1
            drawn = self.replay.draw(rows, self.generator)
            if drawn is None:
                return
            batch = MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(drawn, _zero_padded=True)}, rows)
            _, loss, _ = self._update(batch.policy_batches)
            dictionary = self._agent().dictionary
            dictionary.learn(self.options.key_rate)
            for module, value in loss.items():
                self.metrics.log_value((module, self.TOTAL_LOSS_KEY), value, window=1)
