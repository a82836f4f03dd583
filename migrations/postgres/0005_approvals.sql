-- What a human decides on is one text (RFC 8785) and its SHA-256; `body` holds the state alone.
ALTER TABLE approvals ADD COLUMN request TEXT;
ALTER TABLE approvals ADD COLUMN digest TEXT;

CREATE TABLE approval_votes (
    approval_id BIGINT NOT NULL,
    place       BIGINT NOT NULL, -- 1 for the first
    -- the approver's name; one person decides one way once
    name        TEXT COLLATE "C" NOT NULL,
    decision    TEXT   NOT NULL, -- grant, deny
    via         TEXT   NOT NULL, -- slack, cli, api
    at          BIGINT NOT NULL,
    -- as `ssh-keygen -Y sign` writes it
    signature   TEXT,
    PRIMARY KEY (approval_id, name, decision)
);
