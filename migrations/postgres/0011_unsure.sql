-- 1 from before a notice is posted where it cannot be folded until it is known what became of it: before it is posted again, the other
-- side is asked whether it has it.
ALTER TABLE outbox ADD COLUMN unsure BIGINT NOT NULL DEFAULT 0;
