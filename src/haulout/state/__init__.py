"""What an agent must not forget between two runs: documents, intents, limits, leases.

`State` is the surface; `Vault.state(name)` opens one, and `State.in_memory()` is its twin for
backtests. docs/spec/state.md says what is kept, docs/acting.md what may be relied on.
"""
