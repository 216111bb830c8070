-- name: insert_campaign
INSERT INTO campaign
    (id, state, account, sender_id, message, policy, created_at, max_segments, daily_cap, retry_of)
VALUES (:id, 'loading', :account, :sender_id, :message, :policy, :created_at, :max_segments, :daily_cap, :retry_of)

-- name: select_campaign
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM campaign WHERE id = :id

-- name: select_campaign_ids
SELECT id FROM campaign ORDER BY created_at DESC, seq DESC

-- name: select_same_plan
-- What was cancelled before anything was claimed sent nothing a first time. Of one that is not over the text alone
-- must be the same, where both have a recipient: a list that was mended meanwhile makes another plan. A retry says the
-- same to the same as the campaigns that it comes of; nobody is in two retries of one.
WITH RECURSIVE line (id) AS (
    SELECT retry_of FROM campaign WHERE seq = :campaign
    UNION SELECT campaign.retry_of FROM campaign JOIN line ON campaign.id = line.id
)
SELECT other.id FROM campaign AS mine
JOIN campaign AS other ON other.account = mine.account AND other.seq <> mine.seq
WHERE mine.seq = :campaign AND ((
    other.plan_hash = :plan_hash AND other.state <> 'loading'
    AND other.id NOT IN (SELECT id FROM line WHERE id IS NOT NULL) AND (other.state <> 'cancelled' OR EXISTS (
        SELECT 1 FROM batch WHERE batch.campaign = other.seq AND batch.sending_at IS NOT NULL
    ))
) OR (
    (other.state IN ('queued', 'running', 'paused') AND other.message = mine.message
        OR other.state <> 'loading' AND other.retry_of = mine.retry_of) AND EXISTS (
        SELECT 1 FROM recipient
        JOIN addressee ON addressee.phone = recipient.phone AND addressee.campaign = other.seq
        WHERE recipient.campaign = mine.seq
    )
) OR (
    -- Nobody knows any more who was in it.
    other.retry_of = mine.retry_of AND other.message = ''
))
ORDER BY other.plan_hash = :plan_hash DESC, other.created_at, other.seq LIMIT 1

-- name: move_campaign
UPDATE campaign SET state = :state, reason = :reason,
    revision = revision + (:state = 'running' AND state <> 'running'),
    tracked = CASE WHEN :state = 'running' THEN NULL ELSE tracked END
WHERE seq = :campaign AND state = :source

-- name: set_policy
-- With a budget its segments are counted from the beginning: none comes later, and none goes.
UPDATE campaign SET policy = :policy, max_segments = :max_segments
WHERE seq = :campaign AND state IN ('queued', 'paused') AND (max_segments IS NULL) = (:max_segments IS NULL)
    AND policy = coalesce(:replacing, policy)

-- name: set_plan
UPDATE campaign SET plan = :plan, plan_hash = :plan_hash WHERE seq = :campaign

-- name: insert_recipients
-- The whole of a batch's recipients in one statement: :phones is a JSON list of whole numbers.
INSERT INTO recipient (campaign, batch, position, phone)
SELECT :campaign, :number, key, value FROM json_each(:phones)

-- name: insert_kept_recipients
-- The same, each with the cells that are kept of it: :rows is a JSON list of pairs.
INSERT INTO recipient (campaign, batch, position, phone, kept)
SELECT :campaign, :number, key, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:rows)

-- name: insert_batch
INSERT INTO batch (campaign, number, segments, size, message) VALUES (:campaign, :number, :segments, :size, :message)

-- name: insert_half
INSERT INTO batch (campaign, number, segments, size, excluded, message, sending_at, unknown_attempts)
SELECT :campaign, :new, :segments, count(*), count(exclusion), :message, :sending_at, :unknown_attempts
FROM recipient WHERE campaign = :campaign AND batch = :new

-- name: insert_addressees
INSERT INTO addressee (phone, campaign, batch)
SELECT phone, campaign, batch FROM recipient WHERE campaign = :campaign ORDER BY phone

-- name: move_addressees
UPDATE addressee SET batch = :new WHERE campaign = :campaign AND phone IN (
    SELECT phone FROM recipient WHERE campaign = :campaign AND batch = :new
)

-- name: delete_addressees
DELETE FROM addressee WHERE campaign = :campaign AND phone IN (
    SELECT phone FROM recipient WHERE campaign = :campaign
)

-- name: count_claimed
-- One that runs may be claimed at any moment, and somebody was told so.
SELECT (SELECT count(*) FROM batch WHERE campaign = :campaign AND sending_at IS NOT NULL)
    + (SELECT count(*) FROM campaign WHERE seq = :campaign AND state = 'running')

-- name: count_batches
SELECT state, count(*), sum(size), sum(excluded), sum(segments * (size - excluded)),
    sum(segments * (size - excluded) * unknown_attempts)
FROM batch INDEXED BY batch_progress WHERE campaign = :campaign GROUP BY state

-- name: forget_attempts
UPDATE batch SET attempt = 0, not_before = 0
WHERE campaign = :campaign AND state = 'queued' AND (attempt > 0 OR not_before > 0)

-- name: select_sending
SELECT campaign.id, batch.number FROM batch JOIN campaign ON campaign.seq = batch.campaign
WHERE batch.state = 'sending' ORDER BY campaign.seq, batch.number

-- name: select_under_way
SELECT coalesce(sum(batch.segments * (batch.size - batch.excluded)), 0) + (
    SELECT coalesce(sum(segments * size), 0) FROM send WHERE account = :account AND state = 'sending'
)
FROM campaign JOIN batch INDEXED BY batch_progress ON batch.campaign = campaign.seq
WHERE campaign.account = :account AND batch.state = 'sending'

-- name: orphan_sending
-- Whoever was sending is dead: never back to the queue, since its request may have been accepted.
UPDATE batch SET state = 'unknown', result = :result WHERE state = 'sending'

-- name: cancel_loading
UPDATE campaign SET state = 'cancelled', reason = :reason WHERE state = 'loading'

-- name: cancel_queued
UPDATE batch SET state = 'cancelled' WHERE campaign = :campaign AND state = 'queued' AND unknown_attempts = 0

-- name: drop_resends
-- What was to be sent again and is not. The token goes: nothing can answer for the earlier attempt any more.
UPDATE batch SET state = 'unknown', token = NULL, result = :result, unknown_attempts = unknown_attempts - 1
WHERE campaign = :campaign AND number = coalesce(:number, number) AND state = 'queued' AND unknown_attempts > 0

-- name: cancel_queued_of_cancelled
UPDATE batch SET state = 'cancelled'
WHERE state = 'queued' AND campaign IN (SELECT seq FROM campaign WHERE state = 'cancelled')

-- name: select_queued
SELECT number, size - excluded, segments, not_before FROM batch INDEXED BY batch_progress
WHERE campaign = :campaign AND state = 'queued' AND number > :after ORDER BY number LIMIT :limit

-- name: select_tat
-- GCRA: the tat of before tells the wait, the new one is what the next will find.
SELECT tat, at FROM rate WHERE account = :account

-- name: set_tat
INSERT INTO rate (account, tat, at) VALUES (:account, :tat, :at)
ON CONFLICT (account) DO UPDATE SET tat = excluded.tat, at = excluded.at

-- name: release_tat
UPDATE rate SET tat = max(tat - :seconds, 0.0) WHERE account = :account

-- name: select_due
-- What is put off beyond :latest was put off by a clock that was set back since.
SELECT batch.message, segments, attempt, unknown_attempts FROM batch JOIN campaign ON campaign.seq = batch.campaign
WHERE seq = :campaign AND campaign.state = 'running' AND revision = coalesce(:revision, revision)
    AND number = :number AND batch.state = 'queued' AND (not_before <= :now OR not_before > :latest)

-- name: exclude_opted_out
UPDATE recipient SET exclusion = 'opted_out'
WHERE campaign = :campaign AND batch = :number AND exclusion IS NULL AND phone IN (SELECT phone FROM opt_out)

-- name: exclude_capped
UPDATE recipient SET exclusion = 'capped'
WHERE campaign = :campaign AND batch = :number AND exclusion IS NULL AND :cap <= (
    SELECT coalesce(sum(batch.unknown_attempts + (batch.state IN ('sending', 'accepted', 'unknown'))), 0) FROM addressee
    JOIN batch ON batch.campaign = addressee.campaign AND batch.number = addressee.batch
    JOIN recipient AS earlier ON earlier.campaign = addressee.campaign
        AND earlier.batch = addressee.batch AND earlier.phone = addressee.phone
    WHERE addressee.phone = recipient.phone AND earlier.exclusion IS NULL
        AND batch.sending_at > :since
)

-- name: add_excluded
UPDATE batch SET excluded = excluded + :excluded WHERE campaign = :campaign AND number = :number

-- name: select_included
SELECT phone FROM recipient WHERE campaign = :campaign AND batch = :number AND exclusion IS NULL ORDER BY position

-- name: cancel_batch
UPDATE batch SET state = 'cancelled' WHERE campaign = :campaign AND number = :number AND state = 'queued'

-- name: claim_batch
-- TX1: the intent, before any byte leaves.
UPDATE batch SET state = 'sending', token = :token, worker = :worker, sending_at = :now,
    attempt = attempt + 1, balance_before = :balance, balance_after = NULL, result = NULL
WHERE campaign = :campaign AND number = :number AND state = 'queued'

-- name: take_segments
UPDATE campaign SET committed = committed + :segments
WHERE seq = :campaign AND committed + :segments <= max_segments

-- name: give_back_segments
UPDATE campaign SET committed = committed - :segments WHERE seq = :campaign AND max_segments IS NOT NULL

-- name: select_attempt
-- TX2, fenced: a late true answer may raise `unknown`, and never overwrites a newer attempt.
SELECT message, segments, size - excluded, sending_at, unknown_attempts FROM batch
WHERE campaign = :campaign AND number = :number AND token = :token AND state IN ('sending', 'unknown')

-- name: settle_batch
UPDATE batch SET state = :state, result = :result, not_before = :not_before, unknown_attempts = :unknown_attempts, token = :kept_token
WHERE campaign = :campaign AND number = :number AND token = :token

-- name: delete_batch
DELETE FROM batch WHERE campaign = :campaign AND number = :number

-- name: select_last_number
SELECT max(number) FROM batch WHERE campaign = :campaign

-- name: select_middle
SELECT position FROM recipient WHERE campaign = :campaign AND batch = :number AND exclusion IS NULL
ORDER BY position LIMIT 1 OFFSET :half

-- name: move_recipients
UPDATE recipient SET batch = :new WHERE campaign = :campaign AND batch = :number AND position >= :first AND position < :end

-- name: note_balance
UPDATE batch SET balance_after = :balance
WHERE campaign = :campaign AND number IN (SELECT value FROM json_each(:numbers)) AND balance_after IS NULL

-- name: mark_sent
UPDATE batch SET state = 'accepted',
    result = json_remove(json_set(coalesce(nullif(result, ''), '{}'), '$.error', :note), '$.code')
WHERE campaign = :campaign AND number IN (SELECT value FROM json_each(:numbers)) AND state = 'unknown'

-- name: resend
-- The token goes: a late answer of the old attempt must not settle the new one.
UPDATE batch SET state = 'queued', token = NULL, result = NULL, attempt = 0, not_before = 0, unknown_attempts = unknown_attempts + 1
WHERE campaign = :campaign AND number IN (SELECT value FROM json_each(:numbers)) AND state = 'unknown'
    AND sending_at < :sent_before

-- name: select_batches
SELECT number, state, segments, result, sending_at, balance_before, balance_after, message, unknown_attempts FROM batch
WHERE campaign = :campaign AND number > :after ORDER BY number LIMIT :limit

-- name: select_unknown
SELECT number, state, segments, result, sending_at, balance_before, balance_after, message, unknown_attempts FROM batch
WHERE campaign = :campaign AND state = 'unknown' ORDER BY number

-- name: select_recipients
SELECT phone, exclusion, kept FROM recipient WHERE campaign = :campaign AND batch = :number ORDER BY position

-- name: select_active_since
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM campaign WHERE message <> '' AND EXISTS (
    SELECT 1 FROM batch WHERE batch.campaign = campaign.seq AND batch.sending_at >= :since
) ORDER BY created_at, seq

-- name: select_reached
SELECT phone FROM batch JOIN recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = :campaign AND sending_at >= :since AND exclusion IS NULL
    AND (state IN ('sending', 'accepted', 'unknown') OR unknown_attempts > 0)

-- name: select_addressed
-- What is queued is still to be sent, or may have been before.
SELECT phone FROM batch
JOIN recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = :campaign AND exclusion IS NULL AND state IN ('queued', 'sending', 'accepted', 'unknown')

-- name: select_retries
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM campaign WHERE retry_of = :id AND plan_hash <> '' ORDER BY created_at, seq

-- name: select_loaded
SELECT phone FROM recipient WHERE campaign = :campaign

-- name: record_delivery
INSERT INTO delivery (campaign, message_id, status, raw_status, at, prefix)
VALUES (:campaign, :message_id, :status, :raw_status, :at, :prefix)
ON CONFLICT (campaign, message_id) DO UPDATE SET
    status = excluded.status, raw_status = excluded.raw_status, at = excluded.at, prefix = excluded.prefix
WHERE excluded.at >= delivery.at

-- name: select_deliveries
SELECT message_id, status, raw_status, at, prefix FROM delivery
WHERE campaign = :campaign AND message_id IN (SELECT value FROM json_each(:ids))

-- name: count_deliveries
SELECT prefix, status, count(*) FROM delivery WHERE campaign = :campaign GROUP BY prefix, status

-- name: count_accepted_by_prefix
SELECT substr(recipient.phone, 1, :digits) AS prefix, count(*) FROM batch
JOIN recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = :campaign AND batch.state = 'accepted' AND recipient.exclusion IS NULL
GROUP BY prefix ORDER BY prefix

-- name: select_tracking
SELECT tracked FROM campaign WHERE seq = :campaign

-- name: select_to_track
-- What was purged has no text any more, and no ids.
SELECT id FROM campaign
WHERE account = :account AND tracked IS NULL AND state <> 'loading' AND message <> '' AND EXISTS (
    SELECT 1 FROM batch
    WHERE batch.campaign = campaign.seq AND batch.state = 'accepted' AND batch.sending_at >= :since
)
ORDER BY created_at, seq

-- name: end_tracking
UPDATE campaign SET tracked = :reason WHERE seq = :campaign AND revision = coalesce(:revision, revision)

-- name: expire_tracking
-- Once each: whoever looks for what is to be asked after need not go over an old campaign's batches again.
UPDATE campaign SET tracked = :reason
WHERE account = :account AND tracked IS NULL AND state <> 'loading' AND EXISTS (
    SELECT 1 FROM batch WHERE batch.campaign = campaign.seq AND batch.state = 'accepted'
) AND NOT EXISTS (
    SELECT 1 FROM batch
    WHERE batch.campaign = campaign.seq AND batch.state = 'accepted' AND batch.sending_at >= :before
)

-- name: purge_batches
UPDATE batch SET message = '', result = json_remove(result, '$.ids')
WHERE campaign = :campaign

-- name: purge_campaign
UPDATE campaign SET message = '' WHERE seq = :campaign

-- name: purge_addressees
-- Those of the batches that the next query deletes.
DELETE FROM addressee WHERE campaign = :campaign AND phone IN (
    SELECT phone FROM recipient WHERE campaign = :campaign AND batch <= coalesce((
        SELECT batch FROM recipient WHERE campaign = :campaign ORDER BY batch, position LIMIT 1 OFFSET :rows
    ), batch)
)

-- name: purge_recipients
-- Whole batches, up to the one in which the limit falls.
DELETE FROM recipient WHERE campaign = :campaign AND batch <= coalesce((
    SELECT batch FROM recipient WHERE campaign = :campaign ORDER BY batch, position LIMIT 1 OFFSET :rows
), batch)

-- name: purge_deliveries
DELETE FROM delivery WHERE campaign = :campaign AND message_id IN (
    SELECT message_id FROM delivery WHERE campaign = :campaign LIMIT :rows
)

-- name: delete_recipients
DELETE FROM recipient WHERE campaign = :campaign

-- name: delete_batches
DELETE FROM batch WHERE campaign = :campaign

-- name: delete_deliveries
DELETE FROM delivery WHERE campaign = :campaign

-- name: delete_campaign
DELETE FROM campaign WHERE seq = :campaign

-- name: select_opt_outs
SELECT phone, source, at FROM opt_out WHERE phone > :after ORDER BY phone LIMIT :limit

-- name: select_opted_out
SELECT phone FROM opt_out

-- name: outrank_link
-- A STOP after the press of a link: whoever holds the link must not take that back.
UPDATE opt_out SET source = :source, at = :at WHERE phone = :phone AND source = :link AND :source <> :link

-- name: add_opt_out
INSERT INTO opt_out (phone, source, at) VALUES (:phone, :source, :at) ON CONFLICT (phone) DO NOTHING

-- name: remove_opt_out
DELETE FROM opt_out WHERE phone = :phone

-- name: select_identity
SELECT generation, nonce, previous, in_use, inode, commits FROM identity

-- name: set_identity
UPDATE identity SET generation = :generation, nonce = :nonce, previous = :previous, in_use = :in_use, inode = :inode

-- name: count_commit
UPDATE identity SET commits = commits + 1

-- name: count_recovered
SELECT coalesce(sum(batch.size - batch.excluded), 0) FROM batch JOIN campaign ON campaign.seq = batch.campaign
WHERE batch.state = 'queued' AND campaign.state IN ('loading', 'queued', 'running', 'paused')

-- name: commit_recovered
-- What becomes unknown counts as spent.
UPDATE campaign SET committed = committed + (
    SELECT coalesce(sum(segments * (size - excluded)), 0) FROM batch
    WHERE batch.campaign = campaign.seq AND batch.state = 'queued'
) WHERE state IN ('loading', 'queued', 'running', 'paused') AND max_segments IS NOT NULL

-- name: recover_queued
-- The token goes: nothing of this file can answer for what another one sent.
UPDATE batch SET state = 'unknown', token = NULL, result = :result, sending_at = :now
WHERE state = 'queued'
    AND campaign IN (SELECT seq FROM campaign WHERE state IN ('loading', 'queued', 'running', 'paused'))

-- name: pause_recovered
UPDATE campaign SET state = 'paused', reason = :reason WHERE state IN ('queued', 'running')
