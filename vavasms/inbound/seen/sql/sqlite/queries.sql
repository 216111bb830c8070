-- name: claim
-- Touches one row, or none where the id is handled or another's. A claim that ends a minute later than any can
-- has been made before the clock was set back.
INSERT INTO seen (message_id, digest, owner, until, at)
VALUES (:message_id, :digest, :owner, :now + :lease, :now)
ON CONFLICT (message_id) DO UPDATE
SET digest = excluded.digest, owner = excluded.owner, until = excluded.until, at = excluded.at
WHERE until IS NOT NULL AND (until <= :now OR until > :now + :lease + 60)

-- name: look
SELECT digest, until IS NULL FROM seen WHERE message_id = :message_id

-- name: renew
UPDATE seen SET until = :now + :lease WHERE message_id = :message_id AND owner = :owner

-- name: commit
-- What was handled is handled, whoever has the claim by now.
INSERT INTO seen (message_id, digest, at) VALUES (:message_id, :digest, :now)
ON CONFLICT (message_id) DO UPDATE SET digest = excluded.digest, owner = NULL, until = NULL, at = excluded.at
WHERE until IS NOT NULL

-- name: release
DELETE FROM seen WHERE message_id = :message_id AND owner = :owner

-- name: release_all
-- For the only process there is.
DELETE FROM seen WHERE until IS NOT NULL

-- name: forget
DELETE FROM seen WHERE message_id IN (
    SELECT message_id FROM seen WHERE at < :before AND (until IS NULL OR until < :now) ORDER BY at LIMIT :limit
)
