"""The vault: what a user holds. `Vault` is the surface; the modules beside it do the work."""

from haulout.vault.vault import Vault

__all__ = ["Vault"]
