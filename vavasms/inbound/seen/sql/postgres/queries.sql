-- name: claim
-- By the server's clock, which all processes share. Gives one row: claimed, or what is there; and none where
-- another was quicker by so little that its row cannot be seen yet.
WITH claimed AS (
    INSERT INTO vavasms_inbound.seen AS seen (message_id, digest, owner, until, at)
    VALUES (%(message_id)s, %(digest)s, %(owner)s, now() + make_interval(secs => %(lease)s), now())
    ON CONFLICT (message_id) DO UPDATE
    SET digest = excluded.digest, owner = excluded.owner, until = excluded.until, at = excluded.at
    WHERE seen.until <= now()
    RETURNING 1
)
SELECT TRUE, NULL, FALSE FROM claimed
UNION ALL
SELECT FALSE, digest, until IS NULL FROM vavasms_inbound.seen
WHERE message_id = %(message_id)s AND NOT EXISTS (SELECT FROM claimed)

-- name: renew
UPDATE vavasms_inbound.seen SET until = now() + make_interval(secs => %(lease)s)
WHERE message_id = %(message_id)s AND owner = %(owner)s

-- name: commit
-- What was handled is handled, whoever has the claim by now.
INSERT INTO vavasms_inbound.seen AS seen (message_id, digest, at)
VALUES (%(message_id)s, %(digest)s, now())
ON CONFLICT (message_id) DO UPDATE SET digest = excluded.digest, owner = NULL, until = NULL, at = excluded.at
WHERE seen.until IS NOT NULL

-- name: release
DELETE FROM vavasms_inbound.seen WHERE message_id = %(message_id)s AND owner = %(owner)s

-- name: forget
DELETE FROM vavasms_inbound.seen WHERE message_id IN (
    SELECT message_id FROM vavasms_inbound.seen
    WHERE at < now() - make_interval(secs => %(keep)s) AND (until IS NULL OR until < now())
    ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
