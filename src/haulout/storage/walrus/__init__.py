"""The Walrus network as a place for blobs: every answer is checked against an ID computed here.

`network.Network` is what others use; each of the network's services has a module of its own below
it, and `docs/spec/walrus.md` says what is sent and what is believed. Needs the extra ``walrus``
(urllib3); `cost` and `token` need nothing.
"""
