"""The agent: what it sees as a key, and the dictionaries of its actions in place of a policy head.

Legend: B batch, T time, K width of a key, A actions, M steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import torch
from ray.rllib.core.columns import Columns
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.policy.encoders import flat, flat_width
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.episodic.planning import MODEL_FILE, Model
from lukasa.agents.rllib.episodic.returns import best_of
from lukasa.agents.rllib.module import MEMORY_COST, MemoryNetwork, MemoryRLModule, used_steps
from lukasa.ground.spaces import named
from lukasa.memory.sparse import NeuralDictionary

DICTIONARY_FILE = "dictionary"
"""What the dictionaries are called in the folder of a checkpoint."""

MOST_RANDOM = 1 - 1e-4
"""Of an agent that acts at random: the best action stays the likeliest, and is what an agent takes that does not
explore."""


class EpisodicHead(nn.Module):
    """Features [B, T, K] to logits [B, T, A] of the actions: the best one, or with probability epsilon any.

    Attributes:
        dictionary: one for each action. No part of the ``state_dict``: it travels as what changed.
        epsilon: share of random actions.
    """

    epsilon: Tensor

    def __init__(self, dictionary: NeuralDictionary):
        super().__init__()
        self.hold(dictionary)
        self.register_buffer("epsilon", torch.ones(()))

    dictionary: NeuralDictionary

    def hold(self, dictionary: NeuralDictionary) -> None:
        """Look up in this one from now on."""
        self.__dict__["dictionary"] = dictionary

    def forward(self, features: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Logits; the best action and the random ones are among those that are allowed, bool [B, T, A]."""
        with torch.no_grad():
            estimates = self.dictionary(features)
            allowed = torch.ones_like(estimates, dtype=torch.bool) if allowed is None else allowed
            estimates = estimates.masked_fill(~allowed, -torch.inf)
            best = (estimates == estimates.amax(-1, keepdim=True)).float()
            epsilon = self.epsilon.clamp(max=MOST_RANDOM)
            at_random = epsilon * allowed / allowed.sum(-1, keepdim=True)
            return ((1 - epsilon) * best / best.sum(-1, keepdim=True) + at_random).log().clamp_min(-1e9)


class ProjectedNetwork(MemoryNetwork):
    """Observations through a random projection, or as they are: the embeddings of Blundell et al. 2016.

    The core is not used.
    """

    def __init__(self, observation_space: gym.Space, action_space: gym.Space, settings: MemorySettings, project: bool):
        super().__init__(observation_space, action_space, settings)
        self.observation_space = observation_space
        self.encoder = nn.Identity()
        width = flat_width(observation_space)
        self.key_size = settings.output_size if project else width
        self.projection = nn.Linear(width, self.key_size, bias=False) if project else nn.Identity()
        if project:
            nn.init.normal_(cast(Tensor, self.projection.weight), std=1 / math.sqrt(self.key_size))
        self.requires_grad_(False)

    def inputs(self, observations: Any, previous_action: Tensor | None, previous_reward: Tensor | None) -> Tensor:
        """Observations as one vector a step, [B, T, width]."""
        if self.normalizer:
            observations = self.normalizer(observations)
        return flat(self.observation_space, observations)

    def features(self, inputs: Tensor, state: memory.State, used: int | None = None) -> tuple[Tensor, memory.State]:
        """Keys [B, T, K], and the state as it was."""
        return self.projection(inputs), state


class EpisodicModule(MemoryRLModule):
    """Encoder, core and dictionaries.

    ``model_config`` also holds "episodic", arguments of ``NeuralDictionary``, and "embedding": "core", "projection" or
    "identity".
    """

    def setup(self) -> None:
        """Build the parts.

        Raises:
            ValueError: the action space is not discrete, or a space is not supported.
        """
        check_discrete(self.action_space)
        super().setup()
        embedding, key_size = self.model_config["embedding"], self.net.settings.output_size
        if embedding != "core":
            self.net = ProjectedNetwork(
                self.observation_space, self.action_space, self.net.settings, embedding == "projection"
            )
            key_size = self.net.key_size
        self.value_head, self.return_scale = nn.Sequential(), None
        actions = int(cast(gym.spaces.Discrete, self.action_space).n)
        made: Any = NeuralDictionary(key_size, dictionaries=actions, **self.model_config["episodic"])
        head: Any = EpisodicHead(made)
        self.policy_head = head
        self.model: Model | None = None

    @property
    def dictionary(self) -> NeuralDictionary:
        """One for each action."""
        head: Any = self.policy_head
        return head.dictionary

    def hold(self, dictionary: NeuralDictionary) -> None:
        """Have another one in place of the dictionary.

        Raises:
            ValueError: it is of other sizes.
        """
        mine = self.dictionary
        here, there = (mine.dictionaries, mine.key_size), (dictionary.dictionaries, dictionary.key_size)
        if here != there:
            raise ValueError(
                f"a dictionary of {there[0]} actions with keys of {there[1]} numbers does not fit an agent of "
                f"{here[0]} actions with keys of {here[1]}"
            )
        head: Any = self.policy_head
        head.hold(dictionary)

    @contextmanager
    def without_dictionary(self) -> Iterator[None]:
        """Know of no earlier episode inside the ``with`` block."""
        intact, head = self.dictionary, cast(Any, self.policy_head)
        head.hold(NeuralDictionary(intact.key_size, dictionaries=intact.dictionaries, **self.model_config["episodic"]))
        try:
            yield
        finally:
            head.hold(intact)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        with memory.collect_auxiliary(self.core) as auxiliary:
            features = self.net(batch)
        inside = batch.get(Columns.LOSS_MASK)
        cost = auxiliary.cost(None if inside is None else inside[:, : used_steps(batch, features.shape[1])])
        outputs = {Columns.EMBEDDINGS: features}
        return outputs if cost is None else {**outputs, MEMORY_COST: cost}

    def outputs(self, features: Tensor, observations: Any) -> Tensor:
        """As every agent's, with the best action sought among those that are allowed."""
        head: Any = self.policy_head
        return self.net.masked(head(features, self.allowed(observations)), observations)

    def allowed(self, observations: Any) -> Tensor | None:
        """Which actions each step allows, bool [B, T, A]; None where observations do not say."""
        return None if self.net.mask is None else self.net.mask.allowed(observations)

    def keys(self, batch: dict[str, Any]) -> Tensor:
        """The keys of all steps of a train batch, [B, T, K], without gradients."""
        return self._features_without_gradient(batch)

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """The value of the best action at each step, [B, T]."""
        features = self._features_without_gradient(batch) if embeddings is None else embeddings
        return best_of(self.dictionary(features, touch=False), self.allowed(batch[Columns.OBS]))

    def save_to_path(self, path: Any = None, **kwargs: Any) -> str:
        """As RLlib's, with the dictionaries in a file of their own beside the weights, which is mapped into memory."""
        saved = super().save_to_path(path, **kwargs)
        if Path(saved).is_dir():
            for name, write in self.files().items():
                write(Path(saved) / name)
        return saved

    def restore_from_path(self, path: Any, **kwargs: Any) -> None:
        """As RLlib's.

        Raises:
            ValueError: the file of the dictionaries is missing, or not all there.
        """
        super().restore_from_path(path, **kwargs)
        names = [DICTIONARY_FILE] + [name for name in (MODEL_FILE,) if (Path(path) / name).exists()]
        self.restore_files({name: Path(path) / name for name in names})

    def files(self) -> dict[str, Callable[[Path], None]]:
        """What is saved beside the weights, and what writes it."""
        return {DICTIONARY_FILE: self.dictionary.save} | ({} if self.model is None else {MODEL_FILE: self.model.save})

    def restore_files(self, paths: Mapping[str, Path]) -> None:
        """Hold what ``files`` wrote.

        Raises:
            ValueError: a file is missing or not all there, or of another agent.
        """
        path = paths[DICTIONARY_FILE]
        if not path.is_file():
            raise ValueError(f"{path} is missing: it holds what the agent remembers; restore it from a copy")
        self.hold(NeuralDictionary.load(path))
        if MODEL_FILE in paths:
            self.model = Model(self.dictionary)
            self.model.load(paths[MODEL_FILE])


def check_discrete(space: gym.Space) -> None:
    """Refuse actions that cannot have a dictionary each.

    Raises:
        ValueError: the space is not Discrete.
    """
    if not isinstance(space, gym.spaces.Discrete):
        raise ValueError(
            f"action space {named(space)} is not Discrete: an episodic agent has a dictionary for each action; choose "
            "another algorithm, such as ppo"
        )
