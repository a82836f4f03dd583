-- Orders of humans. Only ever appended: the latest one on a topic stands.
CREATE TABLE orders (
    id    INTEGER PRIMARY KEY,
    topic TEXT   NOT NULL, -- everything, service:NAME, agent:NAME, incident:NUMBER
    kind  TEXT   NOT NULL, -- halt, resume, hands_off, hands_on, close_breaker, close_incident
    at    BIGINT NOT NULL,
    body  TEXT   NOT NULL
);
CREATE INDEX orders_on ON orders (topic, id);

-- What the ledger says about those who proposed; written with the entry it follows from. A fix that did not last follows from the
-- entry that begins the next incident's first run.
CREATE TABLE trust_marks (
    id          INTEGER PRIMARY KEY,
    agent       TEXT   NOT NULL,
    incident_id BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    kind        TEXT   NOT NULL, -- verified, relapsed, failed, in_doubt, unverified, refused, denied, critical
    place       TEXT   NOT NULL,
    alertname   TEXT   NOT NULL,
    score       BIGINT NOT NULL  -- after it
);
CREATE INDEX trust_marks_of ON trust_marks (agent, id);
CREATE INDEX trust_marks_at ON trust_marks (place, alertname, at) WHERE kind = 'verified';

-- The fold of an agent's marks and of the orders that closed its breaker.
CREATE TABLE trust (
    agent TEXT PRIMARY KEY,
    body  TEXT NOT NULL
);
