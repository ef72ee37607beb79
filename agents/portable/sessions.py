"""Sessions: what an agent carries through an episode, one for each player, held by whoever plays.

Legend: n sessions side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import torch

from lukasa import memory
from lukasa.agents.portable import agent_file
from lukasa.agents.portable.agent_file import AgentFileError
from lukasa.agents.portable.slabs import Slab, from_tensors, gathered

FORMAT = "lukasa session 1"


class Agent(Protocol):
    """What sessions need of the agent that plays them; ``lukasa.agents.portable.Agent`` has it."""

    fingerprint: str
    sparse: bool

    @property
    def core(self) -> memory.Core:
        """The memory core."""
        ...

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        ...

    @overload
    def begin(self) -> Session: ...

    @overload
    def begin(self, count: int) -> Sessions: ...

    def begin(self, count: int | None = None) -> Session | Sessions:
        """A new session, or so many."""
        ...


class SessionError(ValueError):
    """A session that cannot go on: of another agent, used before, or not as many as observations."""


class Session:
    """One episode under way, as ``Agent.act`` returns it. It can be copied, saved and restored.

    Attributes:
        agent: who plays it.
    """

    __slots__ = ("agent", "row", "slab")

    def __init__(self, agent: Agent, slab: Slab, row: int):
        self.agent, self.slab, self.row = agent, slab, row

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return int(self.slab.steps[self.row])

    def copy(self) -> Session:
        """A session of its own with the same memory, to branch from."""
        return Sessions(self.agent, self.slab, np.array([self.row])).copy()[0]

    def to_bytes(self) -> bytes:
        """The whole session, for ``Agent.restore``."""
        return Sessions(self.agent, self.slab, np.array([self.row])).to_bytes(single=True)

    def save(self, path: str | Path) -> None:
        """Write the session to a file, whole or not at all, for ``Agent.restore``."""
        agent_file.replace_file(path, self.to_bytes())

    def __repr__(self) -> str:
        return f"Session(steps={self.steps})"


class Sessions:
    """Several sessions side by side: a sequence of ``Session``, kept as one state so that a step serves them all."""

    __slots__ = ("agent", "rows", "slab")

    def __init__(self, agent: Agent, slab: Slab, rows: np.ndarray | None = None):
        self.agent, self.slab = agent, slab
        self.rows = np.arange(len(slab)) if rows is None else rows

    @classmethod
    def of(cls, agent: Agent, sessions: Iterable[Session | None]) -> Sessions:
        """Sessions out of single ones, side by side; None begins one.

        Raises:
            SessionError: one is no session.
        """
        if not isinstance(sessions, Iterable):
            raise SessionError(f"a {type(sessions).__name__} is no session: expected what act returned, a list or None")
        listed = list(sessions)
        for one in listed:
            if one is not None and not isinstance(one, Session):
                raise SessionError(f"a {type(one).__name__} is no session: expected what act returned, or None")
        fresh = iter(agent.begin(missing)) if (missing := sum(one is None for one in listed)) else iter(())
        whole = [next(fresh) if one is None else one for one in listed]
        if not whole:
            return agent.begin(0)
        slab = whole[0].slab
        if all(one.slab is slab and one.agent is whole[0].agent for one in whole):
            return cls(whole[0].agent, slab, np.array([one.row for one in whole]))
        return cls(agent, gathered(agent.core, _runs(agent, whole)))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Session]:
        return (Session(self.agent, self.slab, int(row)) for row in self.rows)

    @overload
    def __getitem__(self, which: int) -> Session: ...

    @overload
    def __getitem__(self, which: slice | np.ndarray | list[int] | list[bool]) -> Sessions: ...

    def __getitem__(self, which: Any) -> Session | Sessions:
        if isinstance(which, int | np.integer):
            return Session(self.agent, self.slab, int(self.rows[which]))
        if not isinstance(which, slice):
            which = np.asarray(which)
            which = which if which.size else which.astype(int)  # NumPy takes an empty list for one of fractions
        return Sessions(self.agent, self.slab, self.rows[which])

    @property
    def steps(self) -> np.ndarray:
        """Steps taken so far by each, int64 [n]."""
        return self.slab.steps[self.rows]

    def together(self) -> Slab:
        """A slab of exactly these rows in this order, whose memories a step may change.

        Raises:
            SessionError: a step has already changed them in place.
        """
        self.refuse_spent()
        if len(self.rows) == len(self.slab) and (self.rows == np.arange(len(self.slab))).all():
            return self.slab
        return gathered(self.agent.core, [(self.slab, self.rows)])

    def refuse_spent(self) -> None:
        """Refuse sessions whose sparse memory is that of a later step by now."""
        if self.slab.spent:
            raise SessionError(
                "this session was already used for a step, which changed its sparse memory in place: go on with the "
                "session that act returned, or keep session.copy() to branch from"
            )

    def copy(self) -> Sessions:
        """Sessions of their own with the same memories, to branch from."""
        self.refuse_spent()
        return Sessions(self.agent, gathered(self.agent.core, [(self.slab, self.rows)]))

    def reset(self, rows: Any) -> Sessions:
        """These sessions, those of some rows begun anew; what a session was before it is begun anew is let go.

        Args:
            rows: a mask of n booleans, such as ``terminated | truncated``, or numbers of rows.

        Raises:
            SessionError: there are no such rows.
        """
        mask, given = np.zeros(len(self), bool), np.asarray(rows)
        if given.size and given.dtype.kind not in "biu":
            raise SessionError(f"rows are {str(rows)[:60]}: expected a mask of {len(self)} booleans, or whole numbers")
        if given.dtype == bool and given.shape != mask.shape:
            raise SessionError(f"a mask of shape {given.shape} does not fit {len(self)} sessions")
        try:
            mask[given if given.dtype == bool else given.astype(int)] = True
        except IndexError:
            raise SessionError(f"rows {given.tolist()} are not all of {len(self)} sessions") from None
        if not mask.any():
            return self
        slab, fresh = self.together(), self.agent.begin(len(self)).slab
        slab.spent = self.agent.sparse
        with torch.no_grad():
            state = memory.reset_rows(slab.state, fresh.state, torch.from_numpy(mask))
        column = mask[:, None]
        return Sessions(
            self.agent,
            Slab(
                state,
                np.where(column, fresh.action, slab.action),
                np.where(mask, fresh.steps, slab.steps),
                np.where(mask, fresh.keys, slab.keys),
            ),
        )

    def to_bytes(self, *, single: bool = False) -> bytes:
        """All of them, for ``Agent.restore``.

        Args:
            single: whether it is one that comes back as a ``Session``.
        """
        self.refuse_spent()
        whole = gathered(self.agent.core, [(self.slab, self.rows)])
        about = {"agent": self.agent.fingerprint, "name": self.agent.name, "single": single}
        return agent_file.to_bytes(FORMAT, about, whole.tensors())

    def save(self, path: str | Path) -> None:
        """Write them to one file, whole or not at all, for ``Agent.restore``."""
        agent_file.replace_file(path, self.to_bytes())

    def __repr__(self) -> str:
        return f"Sessions(n={len(self)})"


def restored(agent: Agent, source: bytes | str | Path) -> Session | Sessions:
    """The sessions that were saved; see ``Agent.restore``."""
    about, tensors, _ = agent_file.read(source, FORMAT, "session")
    if about.get("agent") != agent.fingerprint:
        raise SessionError(
            f"this session is of another agent ({about.get('name')}) than {agent.name}: load the file that it was "
            "played with"
        )
    try:
        slab = from_tensors(agent.core, tensors)
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        where = "this session" if isinstance(source, bytes) else str(source)
        raise AgentFileError(f"{where} does not fit the agent {agent.name}: {error}") from None
    sessions = Sessions(agent, slab)
    return sessions[0] if about.get("single") and len(sessions) == 1 else sessions


def _runs(agent: Agent, sessions: list[Session]) -> list[tuple[Slab, np.ndarray]]:
    """Neighbours of the same slab together."""
    found: list[tuple[Slab, list[int]]] = []
    for one in sessions:
        if one.agent.fingerprint != agent.fingerprint:
            raise SessionError(
                f"a session is of another agent ({one.agent.name}) than {agent.name}: begin one of its own"
            )
        if one.slab.spent:
            Sessions(agent, one.slab).refuse_spent()
        if found and found[-1][0] is one.slab:
            found[-1][1].append(one.row)
        else:
            found.append((one.slab, [one.row]))
    return [(slab, np.array(rows)) for slab, rows in found]
