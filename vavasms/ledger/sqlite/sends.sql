-- name: select_send
SELECT {columns} FROM send WHERE account = :account AND key = :key

-- name: insert_send
INSERT INTO send (account, key, kind, state, recipients, size, sender_id, segments, message, keeps_text, attempt,
    enqueued, created_at, sending_at, not_before, worker, token, salt, digest)
VALUES (:account, :key, :kind, :state, :recipients, :size, :sender_id, :segments, :message, :keeps_text, :attempt,
    :enqueued, :now, :sending_at, :not_before, :worker, :token, :salt, :digest)
ON CONFLICT (account, key) DO NOTHING

-- name: renew_send
-- Of what came to nothing: the key begins anew, and keeps the time of its first use.
UPDATE send SET kind = :kind, state = :state, recipients = :recipients, size = :size, sender_id = :sender_id,
    segments = :segments, message = :message, keeps_text = :keeps_text, result = NULL, attempt = :attempt,
    enqueued = :enqueued, sending_at = :sending_at, settled_at = NULL, not_before = :not_before, worker = :worker,
    token = :token, salt = :salt, digest = :digest, told = 0
WHERE account = :account AND key = :key AND state IN ('rejected', 'cancelled')

-- name: select_due
SELECT {columns} FROM send INDEXED BY send_queued
WHERE account = :account AND state = 'queued' AND kind = 'text' AND (not_before <= :now OR attempt > 0 AND not_before > :latest)
ORDER BY not_before, seq LIMIT :limit

-- name: claim_send
-- TX1 of a worker: the intent, before any byte leaves.
UPDATE send SET state = 'sending', token = :token, worker = :worker, sending_at = :now, attempt = attempt + 1,
    result = NULL
WHERE account = :account AND key = :key AND state = 'queued'

-- name: abandon_due
UPDATE send SET state = 'queued', token = NULL, worker = NULL, attempt = attempt - 1, settled_at = NULL
WHERE account = :account AND state IN ('sending', 'unknown') AND token IN (SELECT value FROM json_each(:tokens))

-- name: accept_send
-- TX2 of what the gateway took, without a look.
UPDATE send SET state = 'accepted', result = :result, settled_at = :now, not_before = 0, segments = :segments,
    message = CASE WHEN keeps_text THEN message END, told = 0
WHERE account = :account AND key = :key AND token = :token AND state IN ('sending', 'unknown')

-- name: settle_send
-- TX2, fenced: a late true answer may raise `unknown`, and never overwrites a newer attempt.
UPDATE send SET state = :state, result = :result, not_before = :not_before, settled_at = :settled_at, message = :message,
    segments = :segments, told = 0
WHERE account = :account AND key = :key AND token = :token AND state IN ('sending', 'unknown')

-- name: select_sending
SELECT {columns} FROM send WHERE state = 'sending'

-- name: orphan_send
-- Whoever was sending is dead: never back to the queue, since its request may have been accepted.
UPDATE send SET state = 'unknown', result = :result, settled_at = :now
WHERE account = :account AND key = :key AND token = :token AND state = 'sending'

-- name: resolve_send
-- What is sent again has all its attempts before it; of what was sent they are history.
UPDATE send SET state = :state, result = :result, settled_at = :settled_at, message = :message, token = :kept_token,
    enqueued = :enqueued, attempt = CASE WHEN :state = 'accepted' THEN attempt ELSE 0 END, not_before = 0, told = 0
WHERE account = :account AND key = :key AND state = 'unknown'

-- name: select_accounts
-- For a person, now and then: no index leads here.
SELECT account FROM send WHERE key = :key ORDER BY account

-- name: select_sends
SELECT {columns} FROM send
WHERE account = coalesce(:account, account) AND created_at >= :since
    AND state IN (SELECT value FROM json_each(:states))
ORDER BY created_at DESC, seq DESC LIMIT :limit

-- name: select_reached
-- By three indexes.
SELECT recipients FROM send
WHERE (created_at >= :since OR settled_at >= :since OR state = 'sending') AND sending_at >= :since
    AND state IN ('sending', 'accepted', 'unknown')

-- name: select_untold
SELECT {columns} FROM send INDEXED BY send_untold
WHERE account = :account AND enqueued = 1 AND told = 0 AND settled_at < :before ORDER BY seq LIMIT :limit

-- name: note_told
UPDATE send SET told = 1
WHERE account = :account AND key = :key AND state = :state AND settled_at = :settled_at

-- name: purge_sends
DELETE FROM send WHERE seq IN (
    SELECT seq FROM send WHERE settled_at >= :since AND settled_at < :before AND account = coalesce(:account, account)
        AND state IN ('accepted', 'rejected', 'cancelled')
    LIMIT :limit
)

-- name: recover_sends
UPDATE send SET state = 'unknown', token = NULL, result = :result, settled_at = :now
WHERE state IN ('queued', 'sending')

-- name: count_recovered_sends
SELECT coalesce(sum(size), 0) FROM send WHERE state = 'queued'
