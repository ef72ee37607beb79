"""The dictionary of Pritzel et al. 2017 in loops over float64 numbers, sharing no code with what it checks."""

from __future__ import annotations

import math


class LoopDictionary:
    """One dictionary: entries by slot, [key, value, when last used]."""

    def __init__(self, slots, neighbours, delta=1e-3, rate=0.1, tolerance=0.0, kernel="inverse", rule="average"):
        self.slots, self.neighbours, self.delta, self.rate = slots, neighbours, delta, rate
        self.tolerance, self.kernel, self.rule = tolerance, kernel, rule
        self.entries = {}
        self.clock = 0

    def _nearest(self, query):
        found = []
        for slot, (key, _, _) in self.entries.items():
            squared = 0.0
            for a, b in zip(query, key, strict=True):
                squared += (a - b) ** 2
            found.append((squared, slot))
        return sorted(found)

    def lookup(self, queries):
        answers, touched = [], set()
        for query in queries:
            found = self._nearest(query)[: self.neighbours]
            touched |= {slot for _, slot in found}
            if self.kernel == "mean" and found and found[0][0] <= self.tolerance**2:
                found = found[:1]
            top = bottom = 0.0
            for squared, slot in found:
                weight = 1.0 if self.kernel == "mean" else 1.0 / (squared + self.delta)
                top += weight * self.entries[slot][1]
                bottom += weight
            answers.append(top / bottom if found else 0.0)
        self._use(touched)
        return answers

    def update_one(self, key, value):
        found = self._nearest(key)
        if found and math.sqrt(found[0][0]) <= self.tolerance:
            entry = self.entries[found[0][1]]
            if self.rule == "average":
                entry[1] = entry[1] + self.rate * (value - entry[1])
            else:
                entry[1] = max(entry[1], value)
            self._use({found[0][1]})
            return found[0][1]
        if len(self.entries) < self.slots:
            slot = len(self.entries)
        else:
            slot = min(self.entries, key=lambda one: (self.entries[one][2], one))
        self.entries[slot] = [list(key), value, 0]
        self._use({slot})
        return slot

    def _use(self, slots):
        for slot in sorted(slots):
            self.clock += 1
            self.entries[slot][2] = self.clock
