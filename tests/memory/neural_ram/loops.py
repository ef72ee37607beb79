"""A Neural RAM in loops over single numbers, from the paper: the oracle of the fast ones."""

import math


def source_mix(weights, values):
    size = len(values[0])
    return [sum(weights[k] * values[k][m] for k in range(len(values))) for m in range(size)]


def of_two(size, a, b, function):
    """The distribution of a function of two independent integers."""
    out = [0.0] * size
    for i in range(size):
        for j in range(size):
            out[function(i, j) % size] += a[i] * b[j]
    return out


TWO_ARGUMENTS = {
    "ADD": lambda i, j: i + j,
    "SUB": lambda i, j: i - j,
    "LESS-THAN": lambda i, j: int(i < j),
    "LESS-OR-EQUAL": lambda i, j: int(i <= j),
    "EQUALITY-TEST": lambda i, j: int(i == j),
    "MIN": min,
    "MAX": max,
}
NUMBERS = {"ZERO": 0, "ONE": 1, "TWO": 2}


def step(names, weights, registers, memory):
    """One step of one machine: weights[argument][source], registers[r][m], memory[cell][m]."""
    size, values, place = len(memory), [list(one) for one in registers], 0
    for name in names:
        if name in NUMBERS:
            values.append([float(m == NUMBERS[name]) for m in range(size)])
            continue
        a = source_mix(weights[place], values)
        place += 1
        if name in ("INC", "DEC"):
            shift = 1 if name == "INC" else -1
            values.append([a[(m - shift) % size] for m in range(size)])
        elif name == "READ":
            values.append([sum(a[i] * memory[i][m] for i in range(size)) for m in range(size)])
        else:
            b = source_mix(weights[place], values)
            place += 1
            if name == "WRITE":
                memory = [[(1 - a[i]) * memory[i][m] + a[i] * b[m] for m in range(size)] for i in range(size)]
                values.append([float(m == 0) for m in range(size)])
            else:
                values.append(of_two(size, a, b, TWO_ARGUMENTS[name]))
    return [source_mix(weights[place + r], values) for r in range(len(registers))], memory


def expected_cost(tapes, stops, target, mask, limit):
    """Σ_t p_t · cost_t of one machine, from the memory after each step and f_t."""
    total, going = 0.0, 1.0
    for t in range(limit):
        p = going if t == limit - 1 else going * stops[t]
        cost = sum(-math.log(tapes[t][i][target[i]]) for i in range(len(target)) if mask[i])
        total, going = total + p * cost, going - p
    return total
