-- Storms: what an incident waits for, what flaps, and what models cost.

-- Behind which incident it is held; null: behind none.
ALTER TABLE incidents ADD COLUMN waits_for BIGINT;
-- 1 while an alert of it fires and resolves again and again.
ALTER TABLE incidents ADD COLUMN flapping BIGINT NOT NULL DEFAULT 0;
CREATE INDEX incidents_over ON incidents (closed_at) WHERE closed_at IS NOT NULL;

-- What models have cost, settled, by day (UTC) and place (a service, a host, or nothing known). Money is in billionths of a dollar.
CREATE TABLE model_costs (
    day        TEXT   NOT NULL, -- 2026-11-21
    place      TEXT   NOT NULL,
    model      TEXT   NOT NULL,
    calls      BIGINT NOT NULL,
    tokens_in  BIGINT NOT NULL,
    tokens_out BIGINT NOT NULL,
    nanos      BIGINT NOT NULL,
    PRIMARY KEY (day, place, model)
);

-- Questions that were asked and are not settled, counted as estimated. What a crash leaves here stays counted.
CREATE TABLE model_questions (
    id          INTEGER PRIMARY KEY,
    incident_id BIGINT NOT NULL,
    asked_at    BIGINT NOT NULL,
    day         TEXT   NOT NULL,
    place       TEXT   NOT NULL,
    model       TEXT   NOT NULL,
    tokens_in   BIGINT NOT NULL,
    tokens_out  BIGINT NOT NULL,
    nanos       BIGINT NOT NULL
);
CREATE INDEX model_questions_of ON model_questions (day);

-- Limits of a day that humans have been told are spent.
CREATE TABLE model_limits_told (
    day   TEXT NOT NULL,
    scope TEXT NOT NULL, -- all, or place:NAME
    PRIMARY KEY (day, scope)
);
