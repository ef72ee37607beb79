"""A client of a served agent: plays as the agent itself would, over HTTP, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import random
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lukasa.agents.portable.space_records import from_record
from lukasa.ground.conforming import conform
from lukasa.ground.mistakes import UserError

SECONDS = 60.0
"""To wait for a reply."""
IDLE = 2.0
"""Seconds after which a connection is made anew: a server closes those that are idle, uvicorn's after 5 s."""


class AgentClient:
    """An agent that is served somewhere.

    Args:
        url: what ``lukasa serve`` printed.

    Attributes:
        observation_space, action_space: of one player, of ``lukasa.ground.spaces``.

    Raises:
        UserError: nothing answers there, or not as an agent.
    """

    def __init__(self, url: str):
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme != "http" or not host:
            raise UserError(
                f"{url} is no address of a served agent: expected http://HOST:PORT, as `lukasa serve` prints"
            )
        self.url, self._connection = url, http.client.HTTPConnection(host, port or 80, timeout=SECONDS)
        self._used = time.monotonic()
        about = self._ask("GET", "/")
        try:
            self.replicas, self.name = int(about["replicas"]), str(about["agent"])
            self.observation_space, self.action_space = (
                from_record(about[name]) for name in ("observation_space", "action_space")
            )
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{url} answers, but not as an agent does: give the address that `lukasa serve` printed"
            ) from None

    def act(self, observation: Any, session: str | None = None, reward: Any = None) -> tuple[Any, str]:
        """The next action, as the environment takes it, and the name of the session to go on with."""
        shown = _plain(conform(self.observation_space, observation))
        asked = {"observation": shown, "session": session, "reward": None if reward is None else float(reward)}
        reply = self._ask("POST", f"{self._replica(session)}/act", asked)
        return conform(self.action_space, reply["action"]), reply["session"]

    def act_together(
        self, observations: list[Any], sessions: list[str] | None = None, rewards: Any = None
    ) -> tuple[list[Any], list[str]]:
        """The same of several sessions in one request; all of them have begun together."""
        shown = [_plain(conform(self.observation_space, one)) for one in observations]
        earned = None if rewards is None else np.asarray(rewards).tolist()
        asked = {"observations": shown, "sessions": sessions, "rewards": earned}
        reply = self._ask("POST", f"{self._replica(sessions[0] if sessions else None)}/act", asked)
        return [conform(self.action_space, one) for one in reply["actions"]], reply["sessions"]

    def end(self, session: str | None) -> None:
        """Let a session go."""
        if session is not None:
            self._ask("POST", f"{self._replica(session)}/end", {"session": session})

    def _replica(self, session: str | None) -> str:
        if session is None:
            number = random.randrange(self.replicas)
        else:
            replica = session.partition("-")[0]
            if not (replica.isascii() and replica.isdigit()):
                raise UserError(f"{session[:60]!r} is no session of {self.url}: expected what act returned, or None")
            number = int(replica)
        return f"/{number}" if number else ""

    def _ask(self, method: str, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if asked is None else json.dumps(asked)
        if time.monotonic() - self._used > IDLE:
            self._connection.close()  # the next request opens it again
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            text = response.read()
            self._used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UserError(f"{self.url} does not answer ({error}): is `lukasa serve` running there?") from None
        try:
            reply = json.loads(text)
        except ValueError:
            reply = {}
        if response.status != 200:
            said = reply.get("error") if isinstance(reply, dict) else None
            raise UserError(f"{self.url} refused ({response.status}): {said or response.reason}")
        return reply if isinstance(reply, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else np.asarray(value).tolist()
