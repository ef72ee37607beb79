"""Equations that several papers of readers share, as float64 loops over numbers; for the tests' oracles."""

import math

import torch


def words_of(row):
    """The words of a row, without the places that hold none."""
    return [int(word) for word in row if word > 0]


def sigmoid(number):
    return 1 / (1 + math.exp(-number))


def softmax(numbers):
    powers = [math.exp(number - max(numbers)) for number in numbers]
    return [power / sum(powers) for power in powers]


def affine(weight, numbers, bias=None):
    """A matrix times a list of numbers, and a bias."""
    rows = weight.tolist()
    shift = [0.0] * len(rows) if bias is None else bias.tolist()
    return [b + sum(w * x for w, x in zip(row, numbers, strict=True)) for row, b in zip(rows, shift, strict=True)]


def position_encoding(words, embedding):
    """Sukhbaatar et al. 2015, section 4.1: Σ_j l_j · A x_j with l_kj = (1 − j/J) − (k/D)(1 − 2j/J)."""
    size, length, embedding = embedding.shape[1], len(words), embedding.detach()
    vector = [0.0] * size
    for j in range(1, length + 1):
        for k in range(1, size + 1):
            weight = (1 - j / length) - (k / size) * (1 - 2 * j / length)
            vector[k - 1] += weight * float(embedding[words[j - 1], k - 1])
    return vector


def bag_of_words(words, embedding):
    rows = [embedding[word].tolist() for word in words]
    return [sum(row[k] for row in rows) for k in range(embedding.shape[1])]


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    """h' = (1 − z) n + z h with n = tanh(W x + b + r (U h + c)), rows of the matrices in the order r, z, n."""
    size = len(h)
    told, before = affine(w_ih, x, b_ih), affine(w_hh, h, b_hh)
    after = []
    for k in range(size):
        r, z = sigmoid(told[k] + before[k]), sigmoid(told[size + k] + before[size + k])
        n = math.tanh(told[2 * size + k] + r * before[2 * size + k])
        after.append((1 - z) * n + z * h[k])
    return after


def gru_states(inputs, gru):
    """The states of a ``torch.nn.GRU`` of one layer after each input, from zeros."""
    state, states = [0.0] * gru.hidden_size, []
    for x in inputs:
        state = gru_step(x, state, gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
        states.append(state)
    return states


def with_some_biases(reader, seed=0):
    """The reader with every parameter that is zero at the beginning drawn at random, so that none goes unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one in reader.parameters():
            if not one.any():
                one.copy_(torch.randn(one.shape, generator=generator, dtype=one.dtype) / 2)
    return reader
