-- What is known of whoever sends, and of the times in which nobody was here to listen.

CREATE INDEX alerts_of ON alerts (incident_id) WHERE incident_id IS NOT NULL;

-- Names that deliveries came with: Alertmanager's receivers, and senders (externalURL) that were found to be the Alertmanager that is asked.
CREATE TABLE known_names (
    kind TEXT NOT NULL, -- receiver, sender
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- One row: when the server was last alive.
CREATE TABLE pulse (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);

-- From when to when no server was alive. What fired and resolved in between cannot be known.
CREATE TABLE outages (
    began_at BIGINT PRIMARY KEY,
    ended_at BIGINT NOT NULL,
    asked_at BIGINT           -- when Alertmanager had been asked for what was missed
);
