-- The ledger and what hangs on it. Times are BIGINT milliseconds since 1970 (UTC), documents are JSON text.

CREATE TABLE identity (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Every alert ever accepted, once per (fingerprint, starts_at, status). incident_id is set when it is raised,
-- seen when the incident's worker has taken it into the ledger.
CREATE TABLE alerts (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT   NOT NULL,
    starts_at   BIGINT NOT NULL,
    status      TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    state       TEXT   NOT NULL DEFAULT 'accepted', -- accepted, raised, seen, late, unmatched, heartbeat
    incident_id BIGINT,
    UNIQUE (fingerprint, starts_at, status)
);
CREATE INDEX alerts_accepted ON alerts (id) WHERE state = 'accepted';
CREATE INDEX alerts_raised ON alerts (incident_id) WHERE state = 'raised';

-- Deliveries that can never become alerts, kept for a human to see.
CREATE TABLE unreadable (
    id          INTEGER PRIMARY KEY,
    received_at BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    size        BIGINT NOT NULL,
    body        BLOB   NOT NULL
);

-- An index over the ledger: every column but the lease, wake_at and poke is a projection of the entries.
CREATE TABLE incidents (
    id          INTEGER PRIMARY KEY,
    seq         BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    level       BIGINT NOT NULL,
    urgency     BIGINT NOT NULL, -- 2 level 3, 1 critical, 0 other
    service     TEXT,
    host        TEXT,
    alertname   TEXT   NOT NULL,
    -- group key, target and rule: alerts with the same one join while the incident is open
    join_key    TEXT   NOT NULL,
    opened_at   BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    closed_at   BIGINT,
    -- when the next step is due; null: nothing to do until poked
    wake_at     BIGINT,
    -- counts what doors left for the worker, so that a release never overwrites a wake-up
    poke        BIGINT NOT NULL DEFAULT 0,
    lease       BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT
);
CREATE INDEX incidents_due ON incidents (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX incidents_open ON incidents (join_key) WHERE closed_at IS NULL;
CREATE INDEX incidents_recent ON incidents (opened_at);

CREATE TABLE entries (
    incident_id BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    body        TEXT   NOT NULL,
    PRIMARY KEY (incident_id, seq)
);

CREATE TABLE approvals (
    id          BIGINT PRIMARY KEY,
    incident_id BIGINT NOT NULL,
    state       TEXT   NOT NULL, -- the word of the body's state, for compare-and-set
    body        TEXT   NOT NULL,
    -- the Slack message that asks, so that it can be closed
    slack_ts    TEXT
);
CREATE INDEX approvals_of ON approvals (incident_id);

-- What counts against a budget; written with the `started` entry of the action.
CREATE TABLE budget_uses (
    incident_id BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    kind        TEXT   NOT NULL, -- restart, scale, clean
    service     TEXT,
    amount      BIGINT NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX budget_uses_of ON budget_uses (service, kind, at);
CREATE INDEX budget_uses_in ON budget_uses (incident_id);

-- One remediation at a time on a thing: held from the first change until the incident is verified or handed over.
CREATE TABLE remediations (
    thing       TEXT PRIMARY KEY, -- service:NAME or host:NAME; on:HOST#INCIDENT only counts hosts at once
    incident_id BIGINT NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX remediations_of ON remediations (incident_id);

CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    incident_id BIGINT NOT NULL,
    channel     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    state       TEXT   NOT NULL DEFAULT 'waiting', -- waiting, sent, failed
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_at     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    sent_at     BIGINT,
    error       TEXT
);
CREATE INDEX outbox_waiting ON outbox (incident_id, channel, id) WHERE state = 'waiting';
CREATE INDEX outbox_of ON outbox (incident_id);

-- Slack's root message of an incident.
CREATE TABLE threads (
    incident_id BIGINT PRIMARY KEY,
    channel     TEXT NOT NULL,
    ts          TEXT NOT NULL
);
