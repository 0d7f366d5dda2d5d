"""A bot's state as what a NautilusTrader strategy saves: ``dict[str, bytes]``.

NautilusTrader calls ``Strategy.on_save() -> dict[str, bytes]`` as it stops in good order, and
``on_load(state)`` as it starts. A state that comes from elsewhere stands under keys of its own
beside the strategy's; the strategy's keys are carried as they are. Nothing of NautilusTrader is
imported here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.botstate import VERSION, BotState, part_of, plain_bytes, plain_value

NAME: Final = "nautilus"
PREFIX: Final = "haulout:"
"""Keys that begin so are this module's; one per part, so that a strategy can read just one."""
_VERSION_KEY: Final = PREFIX + "version"
_HEAD: Final = frozenset({"name", "at", "source", "tag"})


def to_nautilus(bot: BotState) -> dict[str, bytes]:
    """What `on_load` is given.

    Args:
        bot: the state. What a strategy saved before comes back under its own keys.

    Raises:
        ImportFormatError: what it carries of NautilusTrader is broken.
    """
    parts = cast("dict[str, Any]", msgspec.to_builtins(bot))
    extensions = dict(parts.pop("extensions", {}))
    saved = _saved(extensions.pop(NAME, {}))
    head = {name: parts.pop(name) for name in sorted(_HEAD) if name in parts}
    if not head and not parts and not extensions:
        return saved  # nothing but the strategy's own
    found = {_VERSION_KEY: str(VERSION).encode(), PREFIX + "head": plain_bytes(head)}
    if extensions:
        parts["extensions"] = extensions
    found |= {PREFIX + name: plain_bytes(part) for name, part in parts.items()}
    return {**saved, **found}


def from_nautilus(saved: Mapping[str, bytes]) -> BotState:
    """The state in what `on_save` gave.

    Args:
        saved: the strategy's own keys and this module's.

    Raises:
        ImportFormatError: this module's keys are broken or of another version.
    """
    own: dict[str, bytes] = {}
    parts: dict[str, Any] = {}
    for key, value in saved.items():
        if key.startswith(PREFIX):
            parts[key.removeprefix(PREFIX)] = value
        else:
            own[key] = bytes(value)
    version = parts.pop("version", None)
    if parts and version is None:
        message = f"{PREFIX}version is missing beside {', '.join(sorted(parts))}."
        raise ImportFormatError(message)
    if version is not None and version != str(VERSION).encode():
        message = f"The saved state has version {version[:20]!r}; this code reads {VERSION}."
        raise ImportFormatError(message, hint="Use a version of Haulout that knows it.")
    given = {name: plain_value(part) for name, part in parts.items()}
    head = given.pop("head", {})
    if not isinstance(head, dict) or _HEAD & given.keys() or head.keys() - _HEAD:
        message = f"{PREFIX}head is not of the form of docs/spec/bot-state.md."
        raise ImportFormatError(message)
    bot: BotState = part_of({**given, **head}, BotState)
    if own:
        kept = {key: base64.b64encode(value).decode() for key, value in sorted(own.items())}
        bot.extensions = {**bot.extensions, NAME: kept}
    return bot


def _saved(kept: Any) -> dict[str, bytes]:
    try:
        found = {
            key: base64.b64decode(value, validate=True)
            for key, value in cast("dict[str, str]", kept).items()
        }
    except (AttributeError, TypeError, binascii.Error, ValueError) as error:
        message = "What the state carries of NautilusTrader is broken."
        raise ImportFormatError(message) from error
    if any(key.startswith(PREFIX) for key in found):
        message = f"A strategy's own keys do not begin with {PREFIX}."
        raise InputError(message)
    return found
