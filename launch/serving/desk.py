"""What a server of an agent answers: requests to replies, with the sessions of all who play. No network here.

Every request and reply is one JSON object. ``POST /act`` takes ``observation``, ``session`` (null begins one) and
``reward``, and answers with ``action`` and ``session``; lists of them under ``observations``, ``sessions`` and
``rewards`` are answered together. ``POST /end`` takes ``session``; ``GET /`` says who plays.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from lukasa.agents.portable import Agent, Session
from lukasa.agents.portable.space_records import to_record

LARGEST = 64 << 20
"""Bytes of a request."""
MOST_AT_ONCE = 4096
"""Sessions of one request."""

Reply = tuple[int, dict[str, Any]]


class RefusedError(Exception):
    """A request that cannot be answered: an HTTP status and one sentence."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Desk:
    """One replica's sessions.

    Args:
        agent: who plays.
        most: sessions that are kept at most.
        expire: seconds after which a session that nobody asks for is let go.
        replica: its number, with which the names of its sessions begin.
        replicas: how many there are.
        clock: seconds.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        most: int,
        expire: float,
        replica: int = 0,
        replicas: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.agent, self.most, self.expire, self.clock = agent, most, expire, clock
        self.replica, self.replicas = replica, replicas
        self._sessions: OrderedDict[str, tuple[float, Session]] = OrderedDict()

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """HTTP status and reply.

        Args:
            method: of the request.
            path: below the replica's own.
            body: of the request.
        """
        try:
            self._let_go()
            if path in ("", "/"):
                _expect(method, "GET")
                return 200, self._about()
            if path not in ("/act", "/end"):
                raise RefusedError(404, f"there is nothing at {path[:80]}: ask for /, /act or /end")
            _expect(method, "POST")
            asked = _read(body)
            return 200, self._act(asked) if path == "/act" else self._end(asked)
        except RefusedError as refused:
            return refused.status, {"error": str(refused)}

    def _about(self) -> dict[str, Any]:
        spaces = {name: to_record(getattr(self.agent, name)) for name in ("observation_space", "action_space")}
        counts = {"sessions": len(self._sessions), "most_sessions": self.most, "replicas": self.replicas}
        return {"agent": self.agent.name, "fingerprint": self.agent.fingerprint, **spaces, **counts}

    def _act(self, asked: dict[str, Any]) -> dict[str, Any]:
        several = "observations" in asked
        _refuse_unknown(
            asked, ("observations", "sessions", "rewards") if several else ("observation", "session", "reward")
        )
        if several:
            observations, names = asked["observations"], asked.get("sessions")
            if not isinstance(observations, list) or not 1 <= len(observations) <= MOST_AT_ONCE:
                raise RefusedError(400, f"observations: expected a list of 1 to {MOST_AT_ONCE}")
            names = [None] * len(observations) if names is None else names
            if not isinstance(names, list) or len(names) != len(observations):
                raise RefusedError(400, "sessions: expected a list with as many entries as observations")
        elif "observation" not in asked:
            raise RefusedError(400, "the request has no observation: expected observation, session and reward")
        else:
            observations, names = [asked["observation"]], [asked.get("session")]
        known = [name for name in names if name is not None]
        if len(set(map(str, known))) != len(known):
            raise RefusedError(400, "sessions: one of them is named twice")
        found = [None if name is None else self._find(name) for name in names]
        if len(self._sessions) + found.count(None) > self.most:
            raise RefusedError(429, f"this server keeps {self.most} sessions at most: end one, or try again later")
        rewards = asked.get("rewards" if several else "reward")
        try:
            actions, sessions = self.agent.act(observations, found, _rewards(rewards, found))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise RefusedError(400, " ".join(str(error).split())) from None
        names = [name or f"{self.replica}-{secrets.token_hex(12)}" for name in names]
        for name, session in zip(names, sessions, strict=True):
            self._keep(name, session)
        shown = [_plain(_row(actions, row)) for row in range(len(names))]
        if several:
            return {"actions": shown, "sessions": names}
        return {"action": shown[0], "session": names[0]}

    def _end(self, asked: dict[str, Any]) -> dict[str, Any]:
        _refuse_unknown(asked, ("session",))
        self._find(asked.get("session"))
        del self._sessions[asked["session"]]
        return {"ended": asked["session"]}

    def _find(self, name: Any) -> Session:
        if not isinstance(name, str) or name not in self._sessions:
            shown = repr(name)[:60]
            raise RefusedError(
                404, f"there is no session {shown} here: it has ended, or was let go after {self.expire:g} s of silence"
            )
        return self._sessions[name][1]

    def _keep(self, name: str, session: Session) -> None:
        self._sessions[name] = (self.clock(), session)
        self._sessions.move_to_end(name)

    def _let_go(self) -> None:
        """Forget the sessions that nobody has asked for of late; those come first."""
        now = self.clock()
        while self._sessions:
            name, (used, _) = next(iter(self._sessions.items()))
            if now - used <= self.expire:
                return
            del self._sessions[name]


def _expect(method: str, expected: str) -> None:
    if method != expected:
        raise RefusedError(405, f"{method} is not answered here: use {expected}")


def _read(body: bytes) -> dict[str, Any]:
    if len(body) > LARGEST:
        raise RefusedError(413, f"the request is too long: expected at most {LARGEST:,} bytes")
    try:
        asked = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise RefusedError(400, 'the request is no JSON: expected an object such as {"observation": [0.0]}') from None
    if not isinstance(asked, dict):
        raise RefusedError(400, f"the request is a {type(asked).__name__}: expected an object")
    return asked


def _refuse_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which Python's reader takes and JSON does not have."""
    raise RefusedError(400, f"the request has the value {name[:40]}: expected finite numbers")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse_constant(digits)


def _refuse_unknown(asked: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in asked:
        if name not in known:
            raise RefusedError(400, f"the request has an unknown part {name[:40]!r}: expected {', '.join(known)}")


def _rewards(given: Any, sessions: list[Any]) -> Any:
    """Rewards of all; those of sessions that begin are not looked at."""
    if given is None:
        return None
    listed = given if isinstance(given, list) else [given] * len(sessions)
    if len(listed) != len(sessions):
        raise ValueError("rewards: expected a list with as many entries as observations")
    if any(one is not None and (isinstance(one, bool) or not isinstance(one, int | float)) for one in listed):
        raise ValueError("reward: expected a number, or null at the start of an episode")
    return np.array([0.0 if one is None else float(one) for one in listed])


def _row(actions: Any, row: int) -> Any:
    if isinstance(actions, dict):
        return {name: _row(one, row) for name, one in actions.items()}
    return tuple(_row(one, row) for one in actions) if isinstance(actions, tuple) else actions[row]


def _plain(action: Any) -> Any:
    """An action as JSON has it."""
    if isinstance(action, dict):
        return {name: _plain(one) for name, one in action.items()}
    return [_plain(one) for one in action] if isinstance(action, tuple) else np.asarray(action).tolist()
