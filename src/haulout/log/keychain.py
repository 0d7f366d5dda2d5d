"""The keys a device can reach: learned from device and key-epoch records, kept in memory.

Payloads of those two types are not sealed by a record key (it could not be reached without
them) but hold nothing readable: public keys, a root signature, wraps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import cbor2

from haulout.crypto.keys import (
    AGREEMENT_PUBLIC_BYTES,
    SIGNING_PUBLIC_BYTES,
    AgreementKey,
    DeviceKeys,
    Entropy,
    SigningKey,
    SymmetricKey,
    identifier,
    mac,
    signature_is_valid,
    wrap_to,
)
from haulout.errors import DamagedError, VaultLockedError
from haulout.log.record import Header, RecordType, canonical

_KIT = b"kit"
_DEVICE_DOMAIN = b"haulout/1/device\0"


class NamespaceKey(NamedTuple):
    """One epoch of a namespace's key."""

    id: bytes
    name: str
    epoch: int
    key: SymmetricKey


def _user_context(vault: bytes, generation: int) -> bytes:
    return b"haulout/1/user-key\0" + vault + generation.to_bytes(4, "big")


def _namespace_context(vault: bytes, namespace: bytes, epoch: int, generation: int) -> bytes:
    numbers = epoch.to_bytes(4, "big") + generation.to_bytes(4, "big")
    return b"haulout/1/namespace-key\0" + vault + namespace + numbers


def record_context(vault: bytes, namespace: bytes, epoch: int, record: bytes) -> bytes:
    """What a record key's wrap is bound to."""
    return b"haulout/1/record-key\0" + vault + namespace + epoch.to_bytes(4, "big") + record


def device_payload(vault: bytes, root: SigningKey, device: DeviceKeys) -> bytes:
    """The payload of a device record: its public keys, vouched for by the owner's root."""
    keys = device.signing.public + device.agreement.public
    return canonical(
        {
            "root": root.public,
            "signing": device.signing.public,
            "agreement": device.agreement.public,
            "signature": root.sign(_DEVICE_DOMAIN + vault + keys),
        }
    )


def user_key_payload(
    vault: bytes, generation: int, secret: bytes, devices: Mapping[bytes, bytes], kit: bytes
) -> bytes:
    """The payload that brings in a user key: wrapped to every device and to the kit.

    Args:
        vault: vault ID; ``generation``: from 1, one more at each device's removal.
        secret: the user key, 32 bytes.
        devices: device ID -> agreement public key; ``kit``: the recovery public key.
    """
    context = _user_context(vault, generation)
    wraps = {device: wrap_to(public, secret, context) for device, public in devices.items()}
    wraps[_KIT] = wrap_to(kit, secret, context)
    return canonical({"user": generation, "wraps": wraps, "kit": kit})


def device_keys(vault: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """The signing and agreement keys in a device record's payload, once it is vouched for.

    Raises:
        DamagedError: the owner's root, whose hash is the vault's ID, did not sign it.
    """
    try:
        fields = cast("dict[Any, Any]", cbor2.loads(payload))
        root, signing, agreement = fields["root"], fields["signing"], fields["agreement"]
        statement = _DEVICE_DOMAIN + vault + signing + agreement
        vouched = identifier(root, "vault") == vault
        vouched = vouched and signature_is_valid(root, fields["signature"], statement)
        # Their border is not signed: each has its own length, so that it cannot be moved.
        vouched = vouched and (len(signing), len(agreement)) == (
            SIGNING_PUBLIC_BYTES,
            AGREEMENT_PUBLIC_BYTES,
        )
    except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
        message = "A device's keys cannot be read."
        raise DamagedError(message) from error
    if not vouched:
        message = "A device key is not vouched for by the owner of this vault."
        raise DamagedError(message)
    return signing, agreement


def unwrap_user_key(vault: bytes, generation: int, wrap: bytes, key: AgreementKey) -> bytes:
    """The user key of a generation, from its wrap to a device or to the kit.

    Raises:
        VaultLockedError: it is wrapped to another.
    """
    return key.unwrap(wrap, _user_context(vault, generation))


def fresh_wraps(vault: bytes, secrets: Mapping[int, bytes], kit: bytes) -> dict[int, bytes]:
    """User keys wrapped to the recovery kit once more: bytes that were never seen before.

    Args:
        vault: vault ID; ``secrets``: user keys by generation; ``kit``: the recovery public key.
    """
    return {
        generation: wrap_to(kit, secret, _user_context(vault, generation))
        for generation, secret in secrets.items()
    }


def brings_user_key(payload: bytes) -> bool:
    """Whether a key-epoch record's payload brings in a user key, and not a namespace's."""
    return "user" in cast("dict[Any, Any]", cbor2.loads(payload))


class Keychain:
    """User keys by generation and namespace keys by epoch, as this device can unwrap them.

    Args:
        vault: the vault ID.
        device_id: the device whose wraps to open, or None to use the kit's.
        agreement: that device's agreement key, or the kit's recovery key.
    """

    def __init__(self, vault: bytes, device_id: bytes | None, agreement: AgreementKey) -> None:
        self._vault = vault
        self._wrap_name = device_id if device_id is not None else _KIT
        self._agreement = agreement
        self._users: dict[int, SymmetricKey] = {}
        self._namespaces: dict[tuple[bytes, int], NamespaceKey] = {}
        self._newest: dict[bytes, NamespaceKey] = {}
        self._waiting: list[bytes] = []
        self.devices: dict[bytes, tuple[bytes, bytes]] = {}
        self.certificates: dict[bytes, bytes] = {}
        self.kit_public = b""
        self.kit_wraps: dict[int, bytes] = {}
        self.learned = 0

    def learn(self, num: int, header: Header, payload: bytes) -> None:
        """Take in a device or key-epoch record; ``num`` is its local number.

        Raises:
            DamagedError: the record vouches for nothing; VaultLockedError: no wrap for us.
        """
        fields = cast("dict[Any, Any]", cbor2.loads(payload))
        if header.type == RecordType.DEVICE:
            keys = device_keys(self._vault, payload)
            device = identifier(keys[0], "device")
            self.devices[device], self.certificates[device] = keys, payload
        elif "user" in fields:
            self._learn_user_key(fields)
        elif fields["generation"] in self._users:
            self._learn_namespace_key(payload)
        else:  # the wrap for this device comes later in the log: it was enrolled later
            self._waiting.append(payload)
        self.learned = max(self.learned, num)

    def _learn_user_key(self, fields: dict[Any, Any]) -> None:
        generation = fields["user"]
        self.kit_public = fields["kit"]
        if _KIT in fields["wraps"]:
            self.kit_wraps.setdefault(generation, fields["wraps"][_KIT])
        wrapped = fields["wraps"].get(self._wrap_name)
        if wrapped is None:
            return
        secret = unwrap_user_key(self._vault, generation, wrapped, self._agreement)
        self.teach({generation: secret})

    def teach(self, secrets: Mapping[int, bytes]) -> None:
        """Take in user keys, by generation, that were opened elsewhere."""
        for generation, secret in secrets.items():
            self._users[generation] = SymmetricKey(secret)
        waiting, self._waiting = self._waiting, []
        for payload in waiting:
            if cast("dict[str, Any]", cbor2.loads(payload))["generation"] in self._users:
                self._learn_namespace_key(payload)
            else:
                self._waiting.append(payload)

    def require_user_key(self) -> None:
        """Refuse to go on without a user key.

        Raises:
            VaultLockedError: none is wrapped to this device (or kit).
        """
        if not self._users:
            message = "No user key of this vault is wrapped to this device."
            raise VaultLockedError(message, hint="Enrol the device with the recovery kit.")

    def read_namespace_key(self, payload: bytes) -> NamespaceKey:
        """The namespace key in a key-epoch record's payload, without keeping it."""
        fields = cast("dict[str, Any]", cbor2.loads(payload))
        namespace, epoch, generation = fields["namespace"], fields["epoch"], fields["generation"]
        context = _namespace_context(self._vault, namespace, epoch, generation)
        inner = cbor2.loads(self._users[generation].unwrap(fields["sealed"], context))
        return NamespaceKey(namespace, inner["name"], epoch, SymmetricKey(inner["key"]))

    def _learn_namespace_key(self, payload: bytes) -> None:
        key = self.read_namespace_key(payload)
        self._namespaces[key.id, key.epoch] = key
        newest = self._newest.get(key.id)
        if newest is None or newest.epoch < key.epoch:
            self._newest[key.id] = key

    @property
    def generation(self) -> int:
        """The newest user-key generation."""
        return max(self._users)

    def user_secrets(self) -> dict[int, bytes]:
        """Every user key, by generation: what a new device is given."""
        return {generation: key.secret for generation, key in self._users.items()}

    def operation_mac(self, op_id: str) -> bytes:
        """The only form in which an explicit operation ID is kept."""
        return mac(self._users[min(self._users)].operations, op_id.encode())

    def request_mac(self, request: bytes) -> bytes:
        """The only form in which the filter of a forget is kept, to know it when it is repeated."""
        return mac(self._users[min(self._users)].requests, request)

    def newest(self, namespace: bytes) -> NamespaceKey | None:
        """The newest key of a namespace, or None where it was not learned."""
        return self._newest.get(namespace)

    def namespace_key(self, namespace: bytes, epoch: int) -> NamespaceKey | None:
        """The key of one epoch of one namespace, or None where it was not learned."""
        return self._namespaces.get((namespace, epoch))

    def namespaces(self) -> list[NamespaceKey]:
        """The newest key of every namespace that was learned, in the order they came."""
        return list(self._newest.values())

    def new_namespace_payload(self, name: str, entropy: Entropy) -> bytes:
        """The payload of a key-epoch record that brings a new namespace in."""
        namespace, key, generation = entropy(16), entropy(32), self.generation
        inner = canonical({"name": name, "key": key})
        context = _namespace_context(self._vault, namespace, 1, generation)
        sealed = self._users[generation].wrap(inner, context, entropy)
        return canonical(
            {"namespace": namespace, "epoch": 1, "generation": generation, "sealed": sealed}
        )
