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

CHUNK_TABLES = """
CREATE TABLE chunk (
    chunk INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    id BLOB NOT NULL,
    level INTEGER NOT NULL,            -- 0: an attachment's bytes; above: a list of chunks
    size INTEGER NOT NULL,             -- of its content, in bytes
    key BLOB NOT NULL
);
CREATE UNIQUE INDEX chunk_id ON chunk (vault, id);
CREATE TABLE chunk_use (
    kind INTEGER NOT NULL,             -- what uses it: 0 a record, 1 a list, 2 an attach
    holder INTEGER NOT NULL,           -- record.num, chunk.chunk, attach.attach
    chunk INTEGER NOT NULL,
    vault INTEGER NOT NULL,
    PRIMARY KEY (kind, holder, chunk)
) WITHOUT ROWID;
CREATE INDEX chunk_used ON chunk_use (chunk);
CREATE TABLE attach (                  -- attaches and backups under way
    attach INTEGER PRIMARY KEY AUTOINCREMENT,
    vault INTEGER NOT NULL,
    backup INTEGER NOT NULL,
    moved INTEGER NOT NULL             -- when it was last heard of
);
CREATE TABLE chunk_gone (              -- files still to be removed
    vault INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (vault, id)
) WITHOUT ROWID;
"""
"""Of the third step of the schema: chunks, the keys that open them, and what uses them."""

ERASED_INDEX = """
CREATE INDEX record_erased ON record (vault, num) WHERE payload IS NULL;
"""
"""A publication asks each time what was erased: without it, it reads all records to find none."""

NEWEST_RECORD = "SELECT max(num) FROM record"
"""The newest number a commit makes durable; the lock file remembers it."""
