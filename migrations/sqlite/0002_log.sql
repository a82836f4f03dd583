-- The ledger becomes one log over all incidents: each entry has its place in it, and its leaf's hash beside it. Entries from before
-- keep the order in which they were committed; their leaves are computed at the server's next start, before anything else.

ALTER TABLE entries RENAME TO entries_before;
CREATE TABLE entries (
    log_index   INTEGER PRIMARY KEY, -- from 0, without gaps, in the order of the commits
    incident_id BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    leaf        BLOB,                -- RFC 6962's hash of the leaf; null only until the first start after this migration
    UNIQUE (incident_id, seq)
);
INSERT INTO entries (log_index, incident_id, seq, at, body)
    SELECT ROW_NUMBER() OVER (ORDER BY rowid) - 1, incident_id, seq, at, body FROM entries_before ORDER BY rowid;
DROP TABLE entries_before;

-- One row: how many entries have their place and leaf. Moved in the transaction that appends, which so waits for its turn.
CREATE TABLE log_head (
    id   SMALLINT PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL
);
INSERT INTO log_head (id, size) VALUES (1, 0);

-- Hashes of full tiles, level 1 and up; the last row of a level grows. Level 0 is the leaves themselves.
CREATE TABLE log_tiles (
    level  SMALLINT NOT NULL,
    n      BIGINT   NOT NULL,
    hashes BLOB     NOT NULL,
    PRIMARY KEY (level, n)
);

-- Checkpoints that were signed: the newest, and those that were taken outside.
CREATE TABLE log_checkpoints (
    size        BIGINT PRIMARY KEY,
    root        BLOB   NOT NULL,
    note        TEXT   NOT NULL,
    signed_at   BIGINT NOT NULL,
    anchored_at BIGINT
);
