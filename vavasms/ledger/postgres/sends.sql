-- name: select_send
SELECT {columns} FROM vavasms.send WHERE account = %(account)s AND key = %(key)s

-- name: lock_send
SELECT {columns} FROM vavasms.send WHERE account = %(account)s AND key = %(key)s FOR UPDATE

-- name: begin_sends
-- TX1 of keys that were never used, in one round trip: the tokens that are claimed. In the order of the keys, so that
-- no two of these wait for each other. As JSON, which Python writes much faster than psycopg its arrays.
INSERT INTO vavasms.send (account, key, kind, state, recipients, size, sender_id, segments, message, keeps_text, attempt,
    enqueued, created_at, sending_at, worker, token, salt, digest)
SELECT account, key, kind, 'sending', recipients, size, sender_id, segments, message, keeps_text, 1,
    FALSE, now, now, %(worker)s, token, decode(salt, 'hex'), decode(digest, 'hex')
FROM json_to_recordset(%(rows)s::JSON) AS new (account TEXT, key TEXT, kind TEXT, recipients TEXT, size INTEGER,
    sender_id TEXT, segments INTEGER, message TEXT, keeps_text BOOLEAN, now FLOAT8, token TEXT, salt TEXT, digest TEXT)
ORDER BY account, key
ON CONFLICT (account, key) DO NOTHING RETURNING token

-- name: insert_send
INSERT INTO vavasms.send (account, key, kind, state, recipients, size, sender_id, segments, message, keeps_text, attempt,
    enqueued, created_at, sending_at, not_before, worker, token, salt, digest)
VALUES (%(account)s, %(key)s, %(kind)s, %(state)s, %(recipients)s, %(size)s, %(sender_id)s, %(segments)s, %(message)s,
    %(keeps_text)s, %(attempt)s, %(enqueued)s, %(now)s, %(sending_at)s, %(not_before)s, %(worker)s, %(token)s, %(salt)s,
    %(digest)s)
ON CONFLICT (account, key) DO NOTHING

-- name: renew_send
-- Of what came to nothing: the key begins anew, and keeps the time of its first use.
UPDATE vavasms.send SET kind = %(kind)s, state = %(state)s, recipients = %(recipients)s, size = %(size)s,
    sender_id = %(sender_id)s, segments = %(segments)s, message = %(message)s, keeps_text = %(keeps_text)s,
    result = NULL, attempt = %(attempt)s, enqueued = %(enqueued)s, sending_at = %(sending_at)s, settled_at = NULL,
    not_before = %(not_before)s, worker = %(worker)s, token = %(token)s, salt = %(salt)s, digest = %(digest)s,
    told = FALSE
WHERE account = %(account)s AND key = %(key)s AND state IN ('rejected', 'cancelled')

-- name: select_due
-- What another worker is claiming at this moment is its own.
SELECT {columns} FROM vavasms.send
WHERE account = %(account)s AND state = 'queued' AND kind = 'text'
    AND (not_before <= %(now)s OR attempt > 0 AND not_before > %(latest)s)
ORDER BY not_before, seq LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: claim_sends
-- TX1 of a worker: the intent, before any byte leaves.
UPDATE vavasms.send AS mine SET state = 'sending', token = given.token, worker = %(worker)s, sending_at = %(now)s,
    attempt = attempt + 1, result = NULL
FROM unnest(%(keys)s::TEXT[], %(tokens)s::TEXT[]) AS given (key, token)
WHERE mine.account = %(account)s AND mine.key = given.key AND mine.state = 'queued'

-- name: accept_sends
-- TX2 of what the gateway took, in one round trip: the tokens that still held.
UPDATE vavasms.send AS mine SET state = 'accepted', result = given.result, settled_at = given.now, not_before = 0,
    message = CASE WHEN keeps_text THEN message END, told = FALSE, segments = given.segments
FROM json_to_recordset(%(rows)s::JSON) AS given (account TEXT, key TEXT, token TEXT, result TEXT, now FLOAT8,
    segments INTEGER)
WHERE mine.account = given.account AND mine.key = given.key AND mine.token = given.token
    AND mine.state IN ('sending', 'unknown')
RETURNING mine.token

-- name: abandon_due
UPDATE vavasms.send SET state = 'queued', token = NULL, worker = NULL, attempt = attempt - 1, settled_at = NULL
WHERE account = %(account)s AND state IN ('sending', 'unknown') AND token = ANY(%(tokens)s::TEXT[])

-- name: settle_send
-- TX2, fenced: a late true answer may raise `unknown`, and never overwrites a newer attempt.
UPDATE vavasms.send SET state = %(state)s, result = %(result)s, not_before = %(not_before)s,
    settled_at = %(settled_at)s, message = %(message)s, segments = %(segments)s, told = FALSE
WHERE account = %(account)s AND key = %(key)s AND token = %(token)s AND state IN ('sending', 'unknown')

-- name: reap_sends
-- Whoever was sending is dead: never back to the queue, since its request may have been accepted.
UPDATE vavasms.send SET state = 'unknown', result = %(result)s, settled_at = %(now)s
WHERE state = 'sending' AND sending_at < %(sent_before)s

-- name: orphan_send
UPDATE vavasms.send SET state = 'unknown', result = %(result)s, settled_at = %(now)s
WHERE account = %(account)s AND key = %(key)s AND token = %(token)s AND state = 'sending'

-- name: resolve_send
-- What is sent again has all its attempts before it; of what was sent they are history.
UPDATE vavasms.send SET state = %(state)s, result = %(result)s, settled_at = %(settled_at)s, message = %(message)s,
    token = %(kept_token)s, enqueued = %(enqueued)s,
    attempt = CASE WHEN %(state)s::TEXT = 'accepted' THEN attempt ELSE 0 END, not_before = 0, told = FALSE
WHERE account = %(account)s AND key = %(key)s AND state = 'unknown'

-- name: select_accounts
-- For a person, now and then: no index leads here.
SELECT account FROM vavasms.send WHERE key = %(key)s ORDER BY account

-- name: select_sends
SELECT {columns} FROM vavasms.send
WHERE account = coalesce(%(account)s::TEXT, account) AND created_at >= %(since)s AND state = ANY(%(states)s::TEXT[])
ORDER BY created_at DESC, seq DESC LIMIT %(limit)s

-- name: select_reached
-- By three indexes.
SELECT recipients FROM vavasms.send
WHERE (created_at >= %(since)s OR settled_at >= %(since)s OR state = 'sending') AND sending_at >= %(since)s
    AND state IN ('sending', 'accepted', 'unknown')

-- name: select_untold
SELECT {columns} FROM vavasms.send
WHERE account = %(account)s AND enqueued AND NOT told AND settled_at < %(before)s ORDER BY seq LIMIT %(limit)s

-- name: note_told
UPDATE vavasms.send SET told = TRUE
WHERE account = %(account)s AND key = %(key)s AND state = %(state)s AND settled_at = %(settled_at)s

-- name: purge_sends
DELETE FROM vavasms.send WHERE seq IN (
    SELECT seq FROM vavasms.send WHERE settled_at >= %(since)s AND settled_at < %(before)s
        AND account = coalesce(%(account)s::TEXT, account) AND state IN ('accepted', 'rejected', 'cancelled')
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)

-- name: serve_account
INSERT INTO vavasms.served_account (account) VALUES (%(account)s) ON CONFLICT (account) DO NOTHING
