"""The source of truth: an append-only, hash-chained, signed log of records.

`record`, `chain`, `clock` and `memory` are pure: bytes and values. `journal` and `keychain`
read and write the log's tables; `inspection` checks them.
"""
