"""A trading venue on loopback, in a process of its own, that misbehaves as asked.

`process.LoopbackVenue` starts one (`python -m haulout.testing.venue`); it answers as Binance spot,
as Alpaca and in a small shape of its own, and keeps a ledger that is the truth of what was
accepted. `simulated.SimulatedVenue` is the same matching and the same faults inside the caller's
process, on a virtual clock; `client.HttpVenue` is the agent's side of the process. docs/venue.md
says how to use them. The process needs the extra ``server`` (starlette, uvicorn), and
``websockets`` for its user stream.
"""
