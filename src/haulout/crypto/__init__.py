"""Bytes to values and back: keys, envelopes, the recovery kit. No I/O, no clock.

Randomness is an argument everywhere (`Entropy`), so every vector in docs/spec can be made
again. What is stored where is the caller's business.
"""
