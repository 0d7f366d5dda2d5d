"""Volumes: RS2 over n shards on any mix of folders and buckets. docs/spec/volume.md.

layout.py, explanation.py, quorum.py    which volume holds what; what that survives; pure
shardfile.py, headstate.py, marker.py   the bytes of each object; pure
volumeset.py                            `VolumeSet`: put, read, list, delete, heads
reading.py, writing.py, heads.py        how each of these goes
repair.py, rebuilding.py                what was lost is made again
rebalance.py                            from one layout to the next; `find_layout`
status.py                               how a set is
rounds.py, clock.py, members.py         questions to many volumes at once, and who is one
"""
