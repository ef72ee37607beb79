"""What a core said in frames that have been seen before, so that it need not be asked again.

A frame begins in the zero state and sees nothing outside it: what the core says at a step is a function of the program,
its arguments and what was seen in the frame so far. The states of frames are therefore nodes of a tree, kept by number.

Dimensions: R rows, C nodes, O places that are seen, L layers, H units.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from lukasa.memory.programs.core import NPI, NPIState

MEMORY = 2**29
"""Bytes of the states that are kept."""


class Memo:
    """The states of frames in one environment, and what was said there.

    Args:
        core: that is asked.
        scene: which environment.
        longest: steps of a frame that are kept; what comes later in a frame is computed, and replaced by its next step.
        most: nodes that are kept; what comes later is computed. By default what half a gibibyte holds.
        keeps: whether anything is kept; otherwise every step is computed.

    Attributes:
        asked: steps that the core has computed.
    """

    def __init__(self, core: NPI, scene: str, *, longest: int = 8, most: int | None = None, keeps: bool = True):
        self.core, self.scene, self.longest = core, scene, longest
        bytes_of_a_node = 2 * core.layers * core.size * core.end.weight.element_size()
        self.most = (MEMORY // bytes_of_a_node if most is None else most) if keeps else 0
        self.symbols = np.array(core.scenes[scene])
        self.radix = np.array([math.prod(core.scenes[scene][place + 1 :]) for place in range(len(self.symbols))])
        self.observations = int(np.prod(self.symbols))
        self.asked = 0
        self.roots: dict[tuple[int, ...], int] = {}
        self.keys = np.zeros(0, np.int64)  # sorted: node and observation
        self.targets = np.zeros(0, np.int64)
        self.kept = 0
        self.free: list[int] = []
        self.used = 0
        self._grow(1024)

    def _grow(self, size: int) -> None:
        core, more = self.core, size - self.used
        shape = (size, 2, core.layers, core.size)
        fresh = torch.zeros(shape, device=core.end.weight.device, dtype=core.end.weight.dtype)
        tables = {
            "frame": np.zeros((size, 4), np.int64),  # program and arguments
            "length": np.zeros(size, np.int64),
            "loose": np.zeros(size, bool),
            "ends": np.zeros(size, bool),
            "calls": np.zeros(size, np.int64),
            "given": np.zeros((size, 3), np.int64),
        }
        if self.used:
            fresh[: self.used] = self.states[: self.used]
            for name, table in tables.items():
                table[: self.used] = getattr(self, name)[: self.used]
        self.states = fresh
        self.__dict__.update(tables)
        self.free = list(range(size - 1, size - 1 - more, -1)) + self.free

    frame: np.ndarray
    length: np.ndarray
    loose: np.ndarray
    ends: np.ndarray
    calls: np.ndarray
    given: np.ndarray

    def _take(self, count: int) -> np.ndarray:
        while len(self.free) < count:
            self.used = len(self.length)
            self._grow(2 * len(self.length))
        taken = [self.free.pop() for _ in range(count)]
        return np.array(taken, np.int64)

    def begin(self, programs: np.ndarray, arguments: np.ndarray) -> np.ndarray:
        """The nodes in which frames begin, int64 [R].

        Args:
            programs: [R], which are called.
            arguments: [R, 3].
        """
        found = []
        for frame in np.column_stack([programs, arguments]).tolist():
            key = tuple(frame)
            if key not in self.roots:
                node = int(self._take(1)[0])
                self.frame[node], self.length[node], self.loose[node] = key, 0, False
                self.states[node] = 0  # another frame may have left its own there
                self.roots[key] = node
            found.append(self.roots[key])
        return np.array(found, np.int64)

    def step(self, nodes: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """The nodes after one step of each row, [R]; what is said there is in ``ends``, ``calls`` and ``given``.

        Args:
            nodes: [R], where the rows are.
            seen: [R, O].
        """
        keys = nodes * self.observations + seen @ self.radix
        keys[self.loose[nodes]] = -1
        after = np.full(len(nodes), -1)
        if len(self.keys):
            places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            known = self.keys[places] == keys
            after[known] = self.targets[places[known]]
        missing = np.flatnonzero(after < 0)
        if len(missing):
            after[missing] = self._compute(nodes[missing], seen[missing], keys[missing])
        return after

    def leave(self, nodes: np.ndarray) -> None:
        """Frames return at these nodes, which nobody needs any more where they are not kept."""
        self.free += nodes[self.loose[nodes]].tolist()

    @torch.no_grad()
    def _compute(self, nodes: np.ndarray, seen: np.ndarray, keys: np.ndarray) -> np.ndarray:
        room = self.kept < self.most
        keeps = (keys >= 0) & (self.length[nodes] < self.longest) & room
        unique, first, back = np.unique(
            np.where(keeps, keys, -1 - np.arange(len(keys))), return_index=True, return_inverse=True
        )
        nodes, seen, keeps = nodes[first], seen[first], keeps[first]
        loose = self.loose[nodes]
        after = nodes.copy()  # what was not kept makes room for its next step
        after[~loose] = self._take(int((~loose).sum()))
        states = self.states[torch.from_numpy(nodes)]
        frame = torch.from_numpy(self.frame[nodes]).to(states.device)
        output, state = self.core(
            self.scene,
            frame[:, 0],
            frame[:, 1:],
            torch.from_numpy(seen)[:, None].to(states.device),
            NPIState(states[:, 0], states[:, 1]),
        )
        self.asked += len(nodes)
        self.states[torch.from_numpy(after)] = torch.stack([state.hidden, state.cell], 1)
        self.frame[after] = self.frame[nodes]
        self.length[after] = self.length[nodes] + 1
        self.loose[after] = ~keeps
        self.ends[after] = (output.end[:, 0] > 0).cpu().numpy()
        self.calls[after] = output.programs[:, 0].argmax(-1).cpu().numpy()
        self.given[after] = output.arguments[:, 0].argmax(-1).cpu().numpy()
        self._keep(unique[keeps], after[keeps])
        return after[back]

    def _keep(self, keys: np.ndarray, targets: np.ndarray) -> None:
        places = np.searchsorted(self.keys, keys)
        self.keys, self.targets = np.insert(self.keys, places, keys), np.insert(self.targets, places, targets)
        self.kept += len(keys)
