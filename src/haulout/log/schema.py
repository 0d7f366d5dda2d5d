"""The log's tables. Records are the truth, and `record_key` holds the keys that open them.

`namespace` gives names their local numbers; `operation` is a view that `rebuild` remakes.

Every table carries the vault (a small local number), so that one PostgreSQL can host many.
`record.num` is a local number: it grows in the order this copy learned of records, is never
reused, and is what every view refers to.
"""

LOG_TABLES = """
CREATE TABLE vault (
    vault INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
);
CREATE TABLE record (
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    device BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    type INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    header BLOB NOT NULL,
    signature BLOB NOT NULL,
    payload BLOB
);
CREATE UNIQUE INDEX record_id ON record (vault, id);
CREATE UNIQUE INDEX record_chain ON record (vault, device, sequence);
CREATE INDEX record_rare ON record (vault, type, num) WHERE type IN (3, 5, 8);
CREATE TABLE record_key (
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    wrap BLOB NOT NULL
);
CREATE TABLE operation (
    vault INTEGER NOT NULL,
    mac BLOB NOT NULL,
    num INTEGER NOT NULL,
    PRIMARY KEY (vault, mac)
) WITHOUT ROWID;
CREATE TABLE namespace (
    namespace INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (vault, name)
);
"""

NEWEST_RECORD = "SELECT max(num) FROM record"
"""The newest number a commit makes durable; the lock file remembers it."""
