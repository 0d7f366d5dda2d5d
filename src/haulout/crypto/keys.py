"""The key chain: recovery kit -> owner root -> device -> user -> namespace -> record.

    24 words ─► owner root key (signs devices; never kept on disk)
             └► recovery key pair ◄─── user keys are wrapped to it
    device secret (0600 file, keyring or passphrase)
             ├► signing key      signs records
             ├► agreement key ◄─ user keys are wrapped to it
             └► database key     encrypts pages
    user key, per generation   ─► seals namespace keys, MACs operation IDs
    namespace key, per epoch   ─► wraps record keys
    record key, per record     ─► seals one payload; destroyed to erase it

Keybase's per-user keys are the model for generations. Wraps that may leave the machine are
hybrid X25519 + ML-KEM-768 (RFC 9180 HPKE with the X-Wing combiner of the library), because
public blobs can be kept until a quantum computer exists.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from haulout.errors import DamagedError, VaultLockedError

Entropy = Callable[[int], bytes]
"""``entropy(n)`` gives n unpredictable bytes; production passes ``secrets.token_bytes``."""

KEY_BYTES = 32
ID_BYTES = 16
MAC_BYTES = 16
_KEM_SECRET_BYTES = 64 + 32
_MLKEM_PUBLIC_BYTES = 1184
SIGNING_PUBLIC_BYTES = 32
AGREEMENT_PUBLIC_BYTES = _MLKEM_PUBLIC_BYTES + 32
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def derive(secret: bytes, label: str, length: int = KEY_BYTES) -> bytes:
    """Derive one purpose's key from a uniformly random secret (HKDF-Expand, RFC 5869).

    Args:
        secret: at least 32 uniformly random bytes; no extraction step is needed.
        label: the purpose, unique within Haulout; it is domain-separated by a version.
        length: bytes wanted.
    """
    info = b"haulout/1/" + label.encode()
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(secret)


def mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256, cut to 16 bytes: enough against forgery, small in every row."""
    return hmac.digest(key, message, "sha256")[:MAC_BYTES]


def identifier(public_key: bytes, label: str) -> bytes:
    """16 bytes that name a public key: who holds the ID cannot be given another key."""
    return hashlib.sha256(b"haulout/1/" + label.encode() + b"\0" + public_key).digest()[:ID_BYTES]


class SigningKey:
    """An Ed25519 key pair made from a 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return self._private.sign(message)


def signature_is_valid(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether ``signature`` over ``message`` was made by the holder of ``public_key``."""
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class AgreementKey:
    """A hybrid ML-KEM-768 + X25519 key pair that wrapped keys are addressed to."""

    def __init__(self, secret: bytes) -> None:
        material = derive(secret, "agreement", _KEM_SECRET_BYTES)
        pq = mlkem.MLKEM768PrivateKey.from_seed_bytes(material[:64])
        classic = x25519.X25519PrivateKey.from_private_bytes(material[64:])
        self._private = MLKEM768X25519PrivateKey(pq, classic)
        self.public = pq.public_key().public_bytes_raw() + classic.public_key().public_bytes_raw()

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Open what `wrap_to` made for this key.

        Raises:
            VaultLockedError: it was made for another key or another context.
        """
        try:
            return _SUITE.decrypt(wrapped, self._private, info=context)
        except (InvalidTag, ValueError) as error:
            message = "A wrapped key does not open with this device or recovery kit."
            raise VaultLockedError(message) from error


def wrap_to(public_key: bytes, secret: bytes, context: bytes) -> bytes:
    """Wrap ``secret`` so that only the holder of ``public_key`` opens it (1,168 bytes for 32).

    The library draws the encapsulation's randomness itself; it offers no way to pass it in.
    """
    pq = mlkem.MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_BYTES])
    classic = x25519.X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_BYTES:])
    return _SUITE.encrypt(secret, MLKEM768X25519PublicKey(pq, classic), info=context)


class DeviceKeys:
    """Everything one machine of the owner's derives from its 32-byte secret."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    @cached_property
    def signing(self) -> SigningKey:
        """The key that signs this device's records."""
        return SigningKey(derive(self.secret, "device-signing"))

    @cached_property
    def agreement(self) -> AgreementKey:
        """The key that user keys are wrapped to for this device."""
        return AgreementKey(derive(self.secret, "device-agreement"))

    @cached_property
    def database(self) -> bytes:
        """The 32-byte key of this device's database pages."""
        return derive(self.secret, "database-pages")

    @cached_property
    def id(self) -> bytes:
        """The device ID: 16 bytes bound to the signing key."""
        return identifier(self.signing.public, "device")


class SymmetricKey:
    """A user or namespace key: seals small secrets below it in the chain, bound to a context."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == KEY_BYTES
        self.secret = secret
        self._aead = ChaCha20Poly1305(derive(secret, "wrap"))

    def wrap(self, secret: bytes, context: bytes, entropy: Entropy) -> bytes:
        """Seal ``secret`` under this key: 12-byte nonce, ciphertext, 16-byte tag.

        Nonces are random: one namespace epoch stays far below the 2^32 wraps at which a
        random 96-bit nonce would repeat with probability 2^-33.
        """
        nonce = entropy(12)
        return nonce + self._aead.encrypt(nonce, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Open what `wrap` sealed.

        Raises:
            DamagedError: the bytes or their context are not what was sealed.
        """
        try:
            return self._aead.decrypt(wrapped[:12], wrapped[12:], context)
        except (InvalidTag, ValueError) as error:
            message = "A wrapped key is damaged or belongs somewhere else."
            raise DamagedError(message) from error

    @cached_property
    def operations(self) -> bytes:
        """The key of operation-ID MACs (user keys only)."""
        return derive(self.secret, "operation-ids")

    @cached_property
    def requests(self) -> bytes:
        """The key of the MACs of what repeatable operations asked for (user keys only)."""
        return derive(self.secret, "requests")
