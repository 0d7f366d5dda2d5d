"""The encrypted transaction: one SQLite file per lane, group commit, a fair lock.

Nothing here knows what a record or a memory is.
"""
