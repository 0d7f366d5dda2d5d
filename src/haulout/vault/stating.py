"""The verbs of agent state: open one, and see which there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from haulout.vault.openvault import OpenVault

if TYPE_CHECKING:
    from haulout.state.state import State


class Stating(OpenVault):
    """States: what agents must not forget between two runs. See docs/acting.md."""

    def state(
        self,
        name: str,
        *,
        now: Callable[[], int] | None = None,
        patience: float | None = None,
    ) -> State:
        """One agent's state, made with its first event.

        Args:
            name: a path such as ``bots/btc``.
            now: the agent's clock, microseconds since 1970 UTC; the vault's where none is given.
            patience: seconds to wait for the disk before an entry is refused.

        Raises:
            InputError: the name is none; DamagedError: the lane is not what was acknowledged;
            ReadOnlyError: this is a replica without one; StorageError: as it says.
        """
        return self._lane.state(name, now, patience)

    def states(self) -> list[str]:
        """The names of all states, in order."""
        return self._lane.names()
