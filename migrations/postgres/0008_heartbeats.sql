-- The dead man's switch: sources of heartbeats. Times are milliseconds.
CREATE TABLE heartbeats (
    source       TEXT COLLATE "C" PRIMARY KEY, -- a heartbeat's labels, or the matchers of one that is expected
    last_at      BIGINT NOT NULL,  -- heard last, or expected since
    heard        BIGINT NOT NULL DEFAULT 0,
    every        BIGINT,           -- how far apart; null before the second
    excused      BIGINT NOT NULL DEFAULT 0, -- time since last_at in which no server was alive
    silent_since BIGINT            -- a human was told; last_at of then
);
