-- The ledger as one log over all incidents; nothing was written before it here.

CREATE TABLE entries (
    log_index   BIGINT PRIMARY KEY, -- from 0, without gaps, in the order of the commits
    incident_id BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    leaf        BYTEA,              -- RFC 6962's hash of the leaf
    UNIQUE (incident_id, seq)
);

-- One row: how many entries have their place and leaf. Moved in the transaction that appends.
CREATE TABLE log_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL
);
INSERT INTO log_head (id, size) VALUES (1, 0);

-- Hashes of full tiles, level 1 and up; the last row of a level grows. Level 0 is the leaves themselves.
CREATE TABLE log_tiles (
    level  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    hashes BYTEA  NOT NULL,
    PRIMARY KEY (level, n)
);

-- Checkpoints that were signed: the newest, and those that were taken outside.
CREATE TABLE log_checkpoints (
    size        BIGINT PRIMARY KEY,
    root        BYTEA  NOT NULL,
    note        TEXT   NOT NULL,
    signed_at   BIGINT NOT NULL,
    anchored_at BIGINT
);
