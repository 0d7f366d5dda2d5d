"""The index's tables: search state that `rebuild` throws away and makes again from the log.

`version.num` and every other `num` here is the number of a record in the log.
"""

INDEX_TABLES = """
CREATE TABLE version (
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    memory INTEGER NOT NULL,           -- num of the memory's first version
    memory_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    kind TEXT NOT NULL,
    speaker TEXT,
    session TEXT,
    source TEXT,
    tags TEXT NOT NULL,                -- JSON array
    metadata TEXT,                     -- JSON object
    occurred_at INTEGER,
    valid_from INTEGER,
    valid_until INTEGER,
    created INTEGER NOT NULL,          -- clock of the memory's first version
    recorded_from INTEGER NOT NULL,    -- clock of this version
    recorded_until INTEGER NOT NULL,   -- clock of the version after it
    true_from INTEGER NOT NULL,        -- valid_from, or what supersession makes of it
    true_until INTEGER NOT NULL,       -- valid_until, without supersession
    closed_at INTEGER NOT NULL,        -- when the version after it became true
    hidden INTEGER NOT NULL,
    length INTEGER NOT NULL,           -- terms of the text
    asking REAL NOT NULL,              -- share of the text that only asks
    traits INTEGER NOT NULL,           -- forms.Trait
    changed INTEGER NOT NULL           -- num of the record that last touched this row
);
CREATE INDEX version_memory ON version (memory, version);
CREATE INDEX version_changed ON version (vault, changed);
CREATE TABLE erased (                  -- so that other processes drop what they hold in memory
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    changed INTEGER NOT NULL
);
CREATE TABLE lexicon (
    namespace INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    generation INTEGER NOT NULL        -- grows when sealed postings or fresh terms are rewritten
);
CREATE TABLE fresh (                   -- terms of versions whose postings are not sealed yet
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    terms BLOB NOT NULL                -- MessagePack {term: count}
);
CREATE TABLE posting (
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    term TEXT NOT NULL,
    first INTEGER NOT NULL,            -- lowest num in the block
    entries BLOB NOT NULL,             -- n offsets from first (u32), then n counts (u16)
    PRIMARY KEY (vault, namespace, term, first)
) WITHOUT ROWID;
CREATE TABLE model (
    model INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (vault, name)
);
CREATE TABLE vector (
    vector INTEGER PRIMARY KEY AUTOINCREMENT,
    vault INTEGER NOT NULL,
    model INTEGER NOT NULL,
    num INTEGER NOT NULL,
    part INTEGER NOT NULL,             -- passage of a long text, from 0
    codes BLOB NOT NULL                -- int8, one a dimension
);
CREATE INDEX vector_num ON vector (num);
CREATE TABLE embed_queue (             -- versions that wait for their vectors
    num INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL
);
CREATE TABLE setting (
    vault INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (vault, name)
) WITHOUT ROWID;
"""

LIST_TABLES = """
CREATE TABLE division (            -- one division of a namespace's vectors into lists
    division INTEGER PRIMARY KEY AUTOINCREMENT,
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    model INTEGER NOT NULL,
    newest INTEGER NOT NULL,           -- vectors up to this one are in its lists
    ready INTEGER NOT NULL             -- 0 while its lists are being written
);
CREATE TABLE vector_list (             -- copies of vectors that lie near each other
    list INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    division INTEGER NOT NULL,            -- no such division: left over, and swept away
    mean BLOB NOT NULL,                -- of the vectors at unit length, float32; empty: the sample
    nums BLOB NOT NULL,                -- their versions (i64)
    codes BLOB NOT NULL                -- in the same order
);
CREATE INDEX vector_list_division ON vector_list (vault, division);
"""
"""The second step of the schema: what recall looks through where vectors are many."""

ATTACHMENT_COLUMNS = """
ALTER TABLE version ADD COLUMN attachment TEXT;        -- JSON of log.attachment.Attachment
ALTER TABLE version ADD COLUMN passage_of INTEGER;     -- num of the memory it is a passage of
ALTER TABLE version ADD COLUMN passage_at INTEGER;     -- its first byte in the attachment
ALTER TABLE version ADD COLUMN passage_size INTEGER;
CREATE INDEX version_passage ON version (passage_of, passage_at) WHERE passage_of IS NOT NULL;
"""
"""Of the third step: what a memory has attached, and where a passage stands."""
