"""Worlds: a session's market, user and luck, made for many sessions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from trading import markets
from trading.bot import DEFAULTS, STRATEGIES, Params, World
from trading.markets import BARS
from trading.streams import stream

USERS: Final = ("defaults", "mild", "typical", "strict")
"""How far a user's settings are from the defaults that a bot falls back to."""
_CHOICES: Final = {
    # size, most units, daily loss, cooldown, volatility limit, stop
    "mild": ((1.0,), (2.0, 3.0), (2.0, 3.0), (5, 15), (2.5, 3.5), (1.0, 1.5)),
    "typical": ((0.5, 1.0), (1.0, 1.5, 2.0), (0.5, 1.0), (15, 30, 60), (1.4, 1.8, 2.5),
                (0.4, 0.8)),
    "strict": ((0.5,), (1.0,), (0.3, 0.5), (60, 120), (1.2, 1.4), (0.3, 0.4)),
}  # fmt: skip
_SPEAKS: Final = 0.3
"""How many users change something within a session."""


def worlds(
    seed: int, sessions: Sequence[int], user: str = "typical", real: Any = None
) -> list[World]:
    """The worlds of some sessions.

    Args:
        seed: of everything; sessions: their numbers; user: one of `USERS`.
        real: closing prices to draw from, in place of the synthetic markets.
    """
    if real is None:
        found = markets.prices(seed, sessions)
    else:
        found = markets.resampled(seed, sessions, real)
    read = markets.read(found)
    lists = {name: values.tolist() for name, values in read.items()}
    made: list[World] = []
    for row, session in enumerate(sessions):
        made.append(
            World(
                session=session,
                strategy=STRATEGIES[session % len(STRATEGIES)],
                market="real" if real is not None else markets.kind_of(session),
                slip=(np.abs(stream(seed, "fill", session).standard_normal(BARS)) * 5e-5).tolist(),
                params=_params(seed, session, user),
                told=_told(seed, session),
                **{name: values[row] for name, values in lists.items()},
                **_plans(seed, session),
            )
        )
    return made


def _plans(seed: int, session: int) -> dict[str, list[Any]]:
    """What a planner would plan in each minute: drawn, so that planning again plans otherwise."""
    draws = stream(seed, "planner", session).random((5, BARS))
    return {
        "plan_kind": np.searchsorted([0.25, 0.72], draws[0]).tolist(),  # wait, dip, breakout
        "plan_edge": (0.0004 + 0.0016 * draws[1]).tolist(),
        "plan_gain": (0.003 + 0.005 * draws[2]).tolist(),
        "plan_last": (30 + (60 * draws[3]).astype(int)).tolist(),
        "plan_share": np.where(draws[4] < 0.5, 0.5, 1.0).tolist(),
    }


def _params(seed: int, session: int, user: str) -> Params:
    if user == "defaults":
        return DEFAULTS
    draws = stream(seed, "user", session).random(6).tolist()
    chosen = [
        among[int(draw * len(among))] for among, draw in zip(_CHOICES[user], draws, strict=True)
    ]
    return Params(*chosen)


def _told(seed: int, session: int) -> dict[int, str]:
    draws = stream(seed, "user", session).random(9).tolist()[6:]
    if draws[0] >= _SPEAKS:
        return {}
    what = "pause" if draws[1] < 0.4 else "tighten"
    return {20 + int(draws[2] * (BARS - 60)): what}
