"""The framework that a bridge runs inside: looked up where it is loaded, and never imported.

A bridge needs no bot to be installed, and a bot's own version is the one that counts.
"""

from __future__ import annotations

import sys
from typing import Any

from haulout.errors import InputError


def loaded(module: str) -> Any:
    """A module of the framework around us.

    Raises:
        InputError: it is not loaded: this is not the framework's process.
    """
    found = sys.modules.get(module)
    if found is None:
        framework = module.partition(".")[0]
        message = f"{module} is not loaded here."
        hint = f"This bridge works inside {framework}, from a strategy of it."
        raise InputError(message, hint=hint)
    return found
