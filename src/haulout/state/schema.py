"""The state lane's tables beside the log's. All are views: the records say the same.

``state_event.subject`` is an intent's ID, or the first 16 bytes of the SHA-256 of a document's or
journal's name; ``state_book.book`` is a snapshot of the fold, from which the next opening goes on.
"""

STATE_TABLES = """
CREATE TABLE state_event (
    num INTEGER NOT NULL,              -- record.num
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    subject BLOB,
    PRIMARY KEY (vault, namespace, num)
) WITHOUT ROWID;
CREATE INDEX state_event_about ON state_event (vault, namespace, subject, num)
    WHERE subject IS NOT NULL;
CREATE TABLE state_book (
    vault INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    through INTEGER NOT NULL,
    book BLOB NOT NULL,
    PRIMARY KEY (vault, namespace)
) WITHOUT ROWID;
"""
