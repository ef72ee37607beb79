"""The Neural Programmer-Interpreter: a core that runs programs (Reed and de Freitas 2016, section 3).

Dimensions: B frames, T steps, O places that are seen, S width of the state encoding, P width of a program, K width of a
key, H units, L layers, N programs, A values of an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ARGUMENTS = 3
"""Arguments of a call."""


class NPIState(NamedTuple):
    """What the core carries from step to step of one frame; a called program begins with zeros.

    Attributes:
        hidden: [B, L, H].
        cell: [B, L, H].
    """

    hidden: Tensor
    cell: Tensor


class NPIOutput(NamedTuple):
    """What the core says at a step.

    Attributes:
        end: [..., ] logit of r_t: the program returns where it is above 0, and calls nothing.
        programs: [..., N] inner products of the emitted key with every program's key; -inf for those that were taught
            later than the program that runs.
        arguments: [..., 3, A] logits of the arguments of the call.
    """

    end: Tensor
    programs: Tensor
    arguments: Tensor


class NPI(nn.Module):
    """A core for any number of programs and environments.

    At each step of a frame an encoder of the environment fuses what is seen with the frame's arguments (f_enc); with
    the embedding of the frame's program it goes through a layer of ReLU into an LSTM (f_lstm); three linear heads say
    whether the program returns (f_end), with which key the next one is found (f_prog), and what it is given (f_arg).

    Args:
        programs: the generations of names: those that are taught together. A program calls none of a later generation,
            and each generation finds all programs up to its own by keys of its own, so that what is taught later
            changes nothing of what was there.
        scenes: of each environment the number of symbols at each place that is seen.
        values: how many values an argument has, A.
        size: units of each LSTM layer.
        layers: of the LSTM.
        encoding: width of the state encoding, and of the layer before it.
        program_size: width of a program's embedding.
        key_size: width of a program's key.

    Raises:
        ValueError: a size is not positive, a program is named twice, or there is none.

    Example:
        >>> core = NPI([["ACT", "ADD"]], {"pad": (11, 11, 11, 11)}, 10)
        >>> seen, given = torch.zeros(5, 7, 4, dtype=torch.int64), torch.zeros(5, 3, dtype=torch.int64)
        >>> output, state = core("pad", torch.ones(5, dtype=torch.int64), given, seen)
        >>> output.programs.shape, output.arguments.shape, state.hidden.shape
        (torch.Size([5, 7, 2]), torch.Size([5, 7, 3, 10]), torch.Size([5, 2, 256]))
    """

    unknown: Tensor
    born: Tensor

    def __init__(
        self,
        programs: Sequence[Sequence[str]],
        scenes: Mapping[str, Sequence[int]],
        values: int,
        *,
        size: int = 256,
        layers: int = 2,
        encoding: int = 128,
        program_size: int = 256,
        key_size: int = 32,
    ):
        super().__init__()
        sizes = {"values": values, "size": size, "layers": layers, "encoding": encoding}
        for name, number in (sizes | {"program_size": program_size, "key_size": key_size}).items():
            if number < 1:
                raise ValueError(f"{name} is {number}: expected at least 1")
        self.programs = tuple(name for some in programs for name in some)
        if not self.programs or len(set(self.programs)) < len(self.programs):
            raise ValueError(
                f"programs are {', '.join(self.programs) or 'none'}: expected different names, at least one"
            )
        self.scenes = {name: tuple(symbols) for name, symbols in scenes.items()}
        self.values, self.size, self.layers = values, size, layers
        self.generations = tuple(generation for generation, some in enumerate(programs) for _ in some)
        born = torch.tensor(self.generations)
        self.register_buffer("born", born, persistent=False)
        self.register_buffer("unknown", born[None] > born[:, None], persistent=False)  # [N, N]: caller, called
        self.encoders = nn.ModuleDict(
            {name: _encoder(symbols, values, encoding) for name, symbols in self.scenes.items()}
        )
        found = [name for names in map(self.key_names, range(len(programs))) for name in names if name]
        self.keys = nn.ParameterDict({name: nn.Parameter(torch.randn(key_size) * 0.5) for name in found})
        self.embeddings = nn.ParameterDict({name: nn.Parameter(torch.randn(program_size)) for name in self.programs})
        self.fusion = nn.Sequential(nn.Linear(encoding + program_size, size), nn.ReLU())
        self.lstm = nn.LSTM(size, size, layers, batch_first=True)
        self.end = nn.Linear(size, 1)
        self.key = nn.Linear(size, key_size)
        self.arguments = nn.Linear(size, ARGUMENTS * values)

    def number(self, program: str) -> int:
        """The place of a program in the program memory."""
        return self.programs.index(program)

    def key_names(self, generation: int) -> list[str]:
        """What the keys are called by which a generation finds programs; "" for those that come later.

        Example:
            >>> NPI([["ACT", "ADD"], ["TWICE"]], {"pad": (11,)}, 10).key_names(1)
            ['ACT@1', 'ADD@1', 'TWICE@1']
        """
        mark = f"@{generation}" if generation else ""
        return [
            f"{name}{mark}" if born <= generation else ""
            for name, born in zip(self.programs, self.generations, strict=True)
        ]

    def key_rows(self, generation: int = -1) -> Tensor:
        """M_key, [N, K], by which a generation finds programs; the last one by default. 0 for what comes later."""
        names = self.key_names(generation if generation >= 0 else self.generations[-1])
        nothing = torch.zeros_like(next(iter(self.keys.values())))
        return torch.stack([self.keys[name] if name else nothing for name in names])

    def program_rows(self) -> Tensor:
        """M_prog, [N, P]."""
        return torch.stack([self.embeddings[name] for name in self.programs])

    def initial_state(self, batch_size: int) -> NPIState:
        """The state in which every frame begins: zeros."""
        zeros = self.end.weight.new_zeros(batch_size, self.layers, self.size)
        return NPIState(zeros, zeros)

    def forward(
        self, scene: str, programs: Tensor, arguments: Tensor, seen: Tensor, state: NPIState | None = None
    ) -> tuple[NPIOutput, NPIState]:
        """Steps of frames that run side by side.

        Args:
            scene: which environment.
            programs: int64 [B], of each frame.
            arguments: int64 [B, 3], each frame was called with.
            seen: int64 [B, T, O], before each step.
            state: before the first step; that of a new frame by default.

        Returns:
            What is said at each step, [B, T, ...], and the state after the last.

        Raises:
            ValueError: there is no such environment, or as many places are not seen in it.
        """
        if scene not in self.scenes:
            raise ValueError(f"unknown environment {scene!r}: the core knows {', '.join(self.scenes)}")
        symbols = self.scenes[scene]
        if seen.shape[-1] != len(symbols):
            raise ValueError(f"{seen.shape[-1]} places are seen: environment {scene!r} has {len(symbols)}")
        steps = seen.shape[1]
        parts = [F.one_hot(one, count) for one, count in zip(seen.unbind(-1), symbols, strict=True)]
        given = F.one_hot(arguments, self.values).flatten(1)[:, None].expand(-1, steps, -1)
        encoded = self.encoders[scene](torch.cat([*parts, given], -1).to(self.end.weight))  # [B, T, S]
        rows = self.program_rows()[programs][:, None].expand(-1, steps, -1)  # [B, T, P]
        state = state or self.initial_state(len(seen))
        carried = tuple(one.transpose(0, 1).contiguous() for one in state)
        outputs, (hidden, cell) = self.lstm(self.fusion(torch.cat([encoded, rows], -1)), carried)
        rows = torch.stack([self.key_rows(one) for one in range(self.generations[-1] + 1)])[self.born[programs]]
        scores = self.key(outputs) @ rows.transpose(1, 2)  # [B, T, N]
        scores = scores.masked_fill(self.unknown[programs][:, None], -torch.inf)
        said = self.arguments(outputs).unflatten(-1, (ARGUMENTS, self.values))
        return NPIOutput(self.end(outputs).squeeze(-1), scores, said), NPIState(
            hidden.transpose(0, 1), cell.transpose(0, 1)
        )

    def teach_last(self) -> list[str]:
        """Freeze everything but the last generation's embeddings and keys; returns the names of what is trained."""
        self.requires_grad_(False)
        last = self.generations[-1]
        new = [name for name, born in zip(self.programs, self.generations, strict=True) if born == last]
        for name in new:
            self.embeddings[name].requires_grad_(True)
        keys = [name for name in self.key_names(last) if name]
        for name in keys:
            self.keys[name].requires_grad_(True)
        return [*(f"embeddings.{name}" for name in new), *(f"keys.{name}" for name in keys)]

    @torch.no_grad()
    def find_as_before(self) -> None:
        """Let the last generation find older programs by the keys of the generation before, to begin with."""
        last = self.generations[-1]
        for old, key in zip(self.key_names(last - 1), self.key_names(last), strict=True):
            if old:
                self.keys[key].copy_(self.keys[old])

    @property
    def taught(self) -> frozenset[str]:
        """The programs that are trained: all, or those of the last generation on a frozen core."""
        return frozenset(name for name in self.programs if self.embeddings[name].requires_grad)


def _encoder(symbols: Sequence[int], values: int, width: int) -> nn.Sequential:
    """f_enc of an environment: two layers, from ones among zeros to the state encoding."""
    first = nn.Linear(sum(symbols) + ARGUMENTS * values, width)
    # One symbol of each place is 1 and the others 0: weights as wide as the number of ones asks for.
    nn.init.normal_(first.weight, std=(2 / (len(symbols) + ARGUMENTS)) ** 0.5)
    return nn.Sequential(first, nn.ReLU(), nn.Linear(width, width))
