"""Facts about things, and for each question those that may have to do with it.

Dimensions: X facts, E things, N questions, S facts of a story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class KnowledgeBase:
    """Facts: subject, relation, object, sorted by subject and relation, each once.

    A relation that questions also ask the other way round has its facts in both directions, as in Miller et al. 2016,
    section 5.1: "Blade Runner directed_by Ridley Scott" and "Ridley Scott !directed_by Blade Runner".

    Attributes:
        things: their names, by number; each is one word.
        relations: their names, by number; each is one word.
        facts: int32 [X, 3].
        begins: int64 [E + 1], the first fact about each thing as a subject, and X.
    """

    things: Sequence[str]
    relations: Sequence[str]
    facts: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, things: Sequence[str], relations: Sequence[str], facts: np.ndarray) -> KnowledgeBase:
        """A knowledge base of facts in any order, some of them twice.

        Args:
            things: their names.
            relations: their names.
            facts: whole numbers [X, 3].
        """
        order = np.lexsort((facts[:, 2], facts[:, 1], facts[:, 0]))
        facts = facts[order].astype(np.int32)
        again = np.zeros(len(facts), dtype=bool)
        again[1:] = (facts[1:] == facts[:-1]).all(1)
        facts = facts[~again]
        return cls(things, relations, facts, np.searchsorted(facts[:, 0], np.arange(len(things) + 1)))

    def about(self, thing: int) -> np.ndarray:
        """The places of the facts whose subject is a thing."""
        return np.arange(self.begins[thing], self.begins[thing + 1])

    def found(self, thing: int, relation: int) -> np.ndarray:
        """The places of the facts about a thing with a relation."""
        about = self.about(thing)
        return about[self.facts[about, 1] == relation]

    def story(self, thing: int, hops: int, most: int) -> np.ndarray:
        """The facts that a question about a thing may look at: key hashing in Miller et al. 2016, section 3.

        Their key, subject and relation, shares the thing with the question; for questions of two hops, or the thing
        with the object of such a fact. They come in the order of the hops.

        Args:
            thing: its number.
            hops: how many facts an answer follows from, one after another.
            most: facts in a story; what is over is left out.

        Returns:
            The places of facts, int64 [S].
        """
        stories = [self.about(thing)]
        seen = {thing}
        for _ in range(hops - 1):
            following = [one for one in np.unique(self.facts[stories[-1], 2]).tolist() if one not in seen]
            seen.update(following)
            stories.append(np.concatenate([self.about(one) for one in following] or [stories[0][:0]]))
        return np.concatenate(stories)[:most]
