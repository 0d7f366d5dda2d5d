"""A Walrus network on loopback: ledger, nodes, publishers, aggregators and relays in one process.

It speaks the wire of docs/spec/walrus.md and can do nothing that the real network cannot: there is
no listing, no delete and no extension over HTTP; `owner.Owner` stands for the transactions that
the owner of an object signs on the chain. Every service has switches for faults, which can be set
while it runs. Needs the extra ``server`` (starlette, uvicorn).
"""
