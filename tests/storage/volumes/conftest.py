from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from storage.volumes.parts import Rig, layout_of


@pytest.fixture
def rig_of() -> Iterator[Callable[..., Rig]]:
    """Makes rigs of so many volumes, and closes them."""
    made: list[Rig] = []

    def make(n_volumes: int = 10, n_shards: int = 10, **options) -> Rig:
        made.append(Rig(layout_of(n_volumes, n_shards), **options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
