"""Memories that are a matrix in float64 loops, one row and one head at a time, from the papers.

Legend: T time, D input width, E width of the layers, H heads, N key size, V value size, W taps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from lukasa import memory
from tests.memory.core_rows import Row, make, sequences
from tests.memory.oracles import Array, Named, sigmoid


def parameters_of(core: memory.Core) -> Named:
    """All parameters as float64 arrays."""
    return {name: one.detach().double().numpy() for name, one in core.named_parameters()}


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def layer_norm(parameters: Named, name: str, x: Array) -> Array:
    centred = x - x.mean()
    scaled = centred / math.sqrt((centred**2).mean() + 1e-5)
    return scaled * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def linear(parameters: Named, name: str, x: Array) -> Array:
    return parameters[f"{name}.weight"] @ x + parameters.get(f"{name}.bias", 0.0)


def through_layers(parameters: Named, layers: list[Any], inputs: Array, starts: Array | None = None) -> Array:
    """Inputs [T, D] of one row to outputs: layers read what is normalised and add to it.

    Args:
        parameters: of the core.
        layers: each has ``reset()`` and ``step(parameters, prefix, x)``, which gives what is added.
        inputs: [T, D].
        starts: bool [T], where all layers begin anew.
    """
    outputs = []
    for time, given in enumerate(inputs):
        x = linear(parameters, "stack.into", given)
        for index, layer in enumerate(layers):
            if time == 0 or (starts is not None and starts[time]):
                layer.reset()
            seen = layer_norm(parameters, f"stack.norms.{index}", x)
            x = x + layer.step(parameters, f"stack.layers.{index}", seen)
        outputs.append(linear(parameters, "output", layer_norm(parameters, "stack.norm", x)))
    return np.stack(outputs)


class Convolution:
    """Channel by channel over the last W inputs of an episode, then SiLU."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def __call__(self, parameters: Named, name: str, x: Array) -> Array:
        self.seen.append(x)
        weight = parameters.get(f"{name}.weight")
        if weight is None:
            return silu(x)
        total = np.zeros_like(x)
        for ago in range(len(weight)):
            if ago < len(self.seen):
                total = total + weight[len(weight) - 1 - ago] * self.seen[-1 - ago]
        return silu(total)


class DeltaHeads:
    """Gated DeltaNet (Yang et al. 2025, eq. 10) and what it holds as special cases, with S as in the paper: [V, F]."""

    def __init__(self, heads: int, rule: str, features: str, copies: int = 1, gate: bool = False, reach: float = 1.0):
        self.heads, self.rule, self.features, self.copies = heads, rule, features, copies
        self.gate, self.reach = gate, reach

    def reset(self) -> None:
        self.convolution = Convolution()
        self.matrices: list[Any] = [0.0] * self.heads
        self.sums: list[Any] = [0.0] * self.heads

    def phi(self, x: Array) -> Array:
        if self.features == "elu":
            x = np.array([value + 1 if value > 0 else math.exp(value) for value in x])
        if self.features == "dpfp":
            both = np.maximum(np.concatenate([x, -x]), 0)
            count = len(both)
            x = np.array(
                [both[i] * both[(i + shift) % count] for shift in range(1, self.copies + 1) for i in range(count)]
            )
        if self.rule == "fast_weights":
            return x / (x.sum() + 1e-6)
        return x if self.rule == "linear_attention" else x / math.sqrt((x**2).sum() + 1e-6)

    def step(self, parameters: Named, prefix: str, x: Array) -> Array:
        mixed = linear(parameters, f"{prefix}.mixing", x)
        if self.features == "silu" or f"{prefix}.convolution.weight" in parameters:
            mixed = self.convolution(parameters, f"{prefix}.convolution", mixed)
        values = mixed[2 * self._keys(parameters, prefix) :].reshape(self.heads, -1)
        keys = mixed[: 2 * self._keys(parameters, prefix)].reshape(2, self.heads, -1)
        reads = [self._head(parameters, prefix, x, h, keys[0, h], keys[1, h], values[h]) for h in range(self.heads)]
        read = np.concatenate(reads)
        if self.gate:
            read = read * silu(linear(parameters, f"{prefix}.gate", x))
        return parameters[f"{prefix}.output.weight"] @ read

    def _keys(self, parameters: Named, prefix: str) -> int:
        mixed = parameters[f"{prefix}.mixing.weight"].shape[0]
        return (mixed - parameters[f"{prefix}.output.weight"].shape[1]) // 2

    def _head(self, parameters: Named, prefix: str, x: Array, h: int, query: Array, key: Array, value: Array) -> Array:
        q, k = self.phi(query), self.phi(key)
        state = self.matrices[h] + np.zeros((len(value), len(k)))
        if self.rule == "linear_attention":
            self.matrices[h] = state + np.outer(value, k)
            self.sums[h] = self.sums[h] + k
            return self.matrices[h] @ q / (self.sums[h] @ q + 1e-6)
        told = parameters[f"{prefix}.gates.weight"] @ x
        beta, alpha = self.reach * sigmoid(told[h]), 1.0
        if self.rule == "gated_delta":
            step = np.log1p(np.exp(told[self.heads + h] + parameters[f"{prefix}.step_bias"][h]))
            alpha = np.exp(-np.exp(parameters[f"{prefix}.rate"][h]) * step)
        state = state @ (alpha * (np.eye(len(k)) - beta * np.outer(k, k))) + beta * np.outer(value, k)
        self.matrices[h] = state
        read = state @ q
        return read if self.rule == "fast_weights" else read / math.sqrt((read**2).mean() + 1e-5)


class MatrixLSTM:
    """mLSTM (Beck et al. 2024, section 2.3) as its equations say, without the stabiliser; in its block."""

    def __init__(self, heads: int, forget_gate: str = "sigmoid", output_gate: str = "silu", convolution: bool = True):
        self.heads, self.forget_gate, self.output_gate = heads, forget_gate, output_gate
        self.convolves = convolution

    def reset(self) -> None:
        self.convolution = Convolution()
        self.cells: list[Any] = [0.0] * self.heads
        self.normalisers: list[Any] = [0.0] * self.heads

    def step(self, parameters: Named, prefix: str, x: Array) -> Array:
        up = linear(parameters, f"{prefix}.up", x)
        mixed = self.convolution(parameters, f"{prefix}.convolution", up) if self.convolves else silu(up)
        queries = linear(parameters, f"{prefix}.queries", mixed).reshape(self.heads, -1)
        keys = linear(parameters, f"{prefix}.keys", mixed).reshape(self.heads, -1)
        values = linear(parameters, f"{prefix}.values", up).reshape(self.heads, -1)
        gates = linear(parameters, f"{prefix}.gates", mixed)
        reads = []
        for h in range(self.heads):
            enter, told = math.exp(gates[h]), gates[self.heads + h]
            forget = sigmoid(told) if self.forget_gate == "sigmoid" else math.exp(told)
            key = keys[h] / math.sqrt(len(keys[h]))
            self.cells[h] = forget * self.cells[h] + enter * np.outer(values[h], key)
            self.normalisers[h] = forget * self.normalisers[h] + enter * key
            read = self.cells[h] @ queries[h] / max(abs(self.normalisers[h] @ queries[h]), 1.0)
            centred = read - read.mean()
            reads.append(centred / math.sqrt((centred**2).mean() + 1e-5))
        read = np.concatenate(reads) * parameters[f"{prefix}.scale"]
        skipped = linear(parameters, f"{prefix}.skip", mixed) if f"{prefix}.skip.weight" in parameters else mixed
        told = linear(parameters, f"{prefix}.out_gate", x)
        opened = silu(told) if self.output_gate == "silu" else 1 / (1 + np.exp(-told))
        return parameters[f"{prefix}.down.weight"] @ ((read + parameters[f"{prefix}.skip_scale"] * skipped) * opened)


class HadamardHeads:
    """Stable Hadamard Memory (Le et al. 2025, eq. 4 and 9 to 11), with M as in the paper: [V, K]."""

    def __init__(self, heads: int, chosen: list[int], centre: bool = True):
        self.heads, self.chosen, self.centre = heads, chosen, centre

    def reset(self) -> None:
        self.steps = 0
        self.matrices: list[Any] = [0.0] * self.heads

    def step(self, parameters: Named, prefix: str, x: Array) -> Array:
        thetas = parameters[f"{prefix}.theta"]
        thetas = thetas - thetas.mean(0) if self.centre else thetas
        query, key, value, column, theta = (
            part.reshape(self.heads, -1)
            for part in (
                *(linear(parameters, f"{prefix}.{name}", x) for name in ("queries", "keys", "values", "calibration")),
                thetas[self.chosen[self.steps]],
            )
        )
        strength = linear(parameters, f"{prefix}.strength", x)
        self.steps += 1
        reads = []
        for h in range(self.heads):
            k, q = (np.maximum(one[h], 0) / (np.maximum(one[h], 0).sum() + 1e-5) for one in (key, query))
            update = sigmoid(strength[h]) * np.outer(value[h], k)
            self.matrices[h] = self.matrices[h] * (1 + np.tanh(np.outer(theta[h], column[h]))) + update
            reads.append(self.matrices[h] @ q)
        return parameters[f"{prefix}.output.weight"] @ np.concatenate(reads)


def assert_as_in_loops(row: Row, layers: list[Any], stepwise: bool, rtol: float, atol: float) -> memory.State:
    """Thirty steps, past several checkpoints, with starts at the first step, the last and two in a row.

    Returns:
        The last state.
    """
    core, inputs = make(row), sequences(2, 30)
    starts = torch.zeros(2, 30, dtype=torch.bool)
    starts[0, [0, 11, 12, 29]] = True
    starts[1, 20] = True
    with memory.step_by_step() if stepwise else torch.enable_grad():
        outputs, state = memory.unroll(core, inputs, None, starts)
    for index in range(2):
        expected = through_layers(parameters_of(core), layers, inputs[index].numpy(), starts[index].numpy())
        np.testing.assert_allclose(outputs[index].detach().numpy(), expected, rtol, atol)
    return state
