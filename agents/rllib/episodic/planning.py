"""A model that is nothing but remembered transitions, and planning by value iteration over them.

The value of a remembered transition (s_i, a, r_i, s'_i) is backed up as r_i + gamma max_b Q(s'_i, b), where Q(s', b) is
what the dictionary of action b answers: the mean of the values of its transitions, weighted by how near their s_i is to
s'. So the dictionaries' values become those of the empirical model, smoothed over neighbours (Ormoneit & Sen 2002,
"Kernel-based reinforcement learning"; with what is unknown worth a value of its own, as in R-max).

Legend: M transitions, K width of a key, D actions, N slots of each, P neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lukasa.agents.rllib.episodic.returns import Last, Steps
from lukasa.ground.files import replacing
from lukasa.memory.sparse import NeuralDictionary
from lukasa.memory.sparse.dictionary.estimates import inverse_distance, weighted_mean
from lukasa.memory.sparse.usage import lazy_zeros

MODEL_FILE = "model"
"""What the transitions are called in the folder of a checkpoint."""


class Transitions(NamedTuple):
    """What actions led to.

    Attributes:
        keys: [M, K], s.
        actions: int64 [M].
        rewards: [M].
        next_keys: [M, K], s'.
        ended: bool [M], whether the episode came to an end of its own there.
        allowed: bool [M, D], which actions s' allows; None where observations do not say.
    """

    keys: Tensor
    actions: Tensor
    rewards: Tensor
    next_keys: Tensor
    ended: Tensor
    allowed: Tensor | None = None


def transitions_of(steps: Steps, last: Last, *, terminated: bool) -> Transitions:
    """Those of a fragment, with the observation after it."""
    length = len(steps.rewards)
    ended = torch.zeros(length, dtype=torch.bool)
    ended[-1:] = bool(terminated)
    following = torch.cat([steps.keys[1:], last.key.unsqueeze(0)])[:length]
    allowed = None
    if steps.allowed is not None and last.allowed is not None:
        allowed = torch.cat([steps.allowed[1:], last.allowed.unsqueeze(0)])[:length]
    return Transitions(steps.keys, steps.actions, torch.from_numpy(steps.rewards), following, ended, allowed)


def joined(found: list[Transitions]) -> Transitions:
    """All of them."""
    keys, actions, rewards, next_keys, ended, masks = zip(*found, strict=True)
    parts = map(torch.cat, (keys, actions, rewards, next_keys, ended))
    return Transitions(*parts, allowed=None if None in masks else torch.cat(masks))


class Model:
    """What the entries of dictionaries led to.

    Args:
        dictionary: one for each action, in which every entry is a transition (``rule="every"``).
    """

    def __init__(self, dictionary: NeuralDictionary):
        self.dictionary = dictionary
        places, cpu = dictionary.dictionaries * dictionary.slots, torch.device("cpu")
        self.rewards = lazy_zeros((places,), torch.float32, cpu)
        self.next_keys = lazy_zeros((places, dictionary.key_size), torch.float32, cpu)
        self.ended = lazy_zeros((places,), torch.bool, cpu)
        self.barred = lazy_zeros((places, dictionary.dictionaries), torch.bool, cpu)  # actions that s' does not allow

    def add(self, new: Transitions) -> None:
        """Remember transitions, in the place of those least recently used where there is no other."""
        slots = self.dictionary.update(new.actions, new.keys, new.rewards)
        places = new.actions * self.dictionary.slots + slots
        self.rewards[places] = new.rewards.float()
        self.next_keys[places] = new.next_keys.float()
        self.ended[places] = new.ended
        if new.allowed is not None:
            self.barred[places] = ~new.allowed

    def places(self) -> Tensor:
        """Where there are transitions, int64 [M]."""
        used, slots = self.dictionary.used, self.dictionary.slots
        return torch.cat([torch.arange(int(count)) + one * slots for one, count in enumerate(used.tolist())])

    def save(self, path: Path) -> None:
        """Write the transitions to a file, whole or not at all."""
        places = self.places()
        parts = {"places": places, "rewards": self.rewards[places], "next_keys": self.next_keys[places]}
        with replacing(path) as file:
            file.write(save({**parts, "ended": self.ended[places], "barred": self.barred[places]}))

    def load(self, path: Path) -> None:
        """Have the transitions of a file.

        Raises:
            ValueError: it is cut short, or of another agent.
        """
        try:
            parts = load_file(path)
            places = parts["places"]
            fits = torch.equal(places, self.places()) and parts["next_keys"].shape[1:] == self.next_keys.shape[1:]
        except (SafetensorError, KeyError, OSError) as error:
            raise ValueError(f"{path} holds no transitions, or was cut short: restore it from a copy") from error
        if not fits:
            raise ValueError(f"{path} is not of the dictionaries beside it: restore both from a copy")
        self.rewards[places], self.next_keys[places] = parts["rewards"], parts["next_keys"]
        self.ended[places] = parts["ended"]
        self.barred[places] = parts.get("barred", torch.tensor(False))  # files from before there were masks


@torch.no_grad()
def plan(model: Model, gamma: float, sweeps: int, backups: int, generator: torch.Generator) -> None:
    """Back up the values of remembered transitions.

    Args:
        model: its dictionaries get the new values.
        gamma: discount of one step.
        sweeps: times that each transition is backed up.
        backups: most transitions that are; a random choice where there are more.
        generator: chooses them.
    """
    dictionary, places = model.dictionary, model.places()
    if not len(places):
        return
    if len(places) > backups:
        places = places[torch.randperm(len(places), generator=generator)[:backups]]
    options, values = dictionary.options, dictionary.entries.values
    found = dictionary.look_up(model.next_keys[places].to(values.dtype), touch=False)
    weights, there = inverse_distance(found.squared, options.delta), found.slots >= 0  # [D, M, P]
    which, slots = places // dictionary.slots, places % dictionary.slots
    barred = model.barred[places].mT  # [D, M]
    rewards, goes_on = model.rewards[places].to(values.dtype), ~model.ended[places]
    for _ in range(sweeps):
        of_actions = weighted_mean(dictionary.entries.values_of(found.slots), weights, there, options.prior)  # [D, M]
        best = of_actions.masked_fill(barred, -torch.inf).amax(0)
        dictionary.set_values(which, slots, rewards + gamma * goes_on * best)
