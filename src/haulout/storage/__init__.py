"""Named immutable bytes on disks and stores. Knows nothing of records or keys."""
