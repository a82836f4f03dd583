-- Rows that something is done by carry a sum over their own fields. PostgreSQL guards its pages itself (initdb --data-checksums): the sums are
-- written here too, so that rows are the same in both stores, and compared in a file only.
ALTER TABLE alerts ADD COLUMN sum TEXT;
-- The incident's number with a minus before it: the one field of an alert that changes later.
ALTER TABLE alerts ADD COLUMN twin BIGINT;
ALTER TABLE incidents ADD COLUMN sum TEXT;
-- Over what its entries come to; `sum` is over what it was opened with.
ALTER TABLE incidents ADD COLUMN shape TEXT;
ALTER TABLE approvals ADD COLUMN sum TEXT;
ALTER TABLE approval_votes ADD COLUMN sum TEXT;
ALTER TABLE budget_uses ADD COLUMN sum TEXT;
ALTER TABLE remediations ADD COLUMN sum TEXT;
ALTER TABLE orders ADD COLUMN sum TEXT;
ALTER TABLE outbox ADD COLUMN sum TEXT;
ALTER TABLE threads ADD COLUMN sum TEXT;
ALTER TABLE trust ADD COLUMN sum TEXT;
ALTER TABLE trust_marks ADD COLUMN sum TEXT;
