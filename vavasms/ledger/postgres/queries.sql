-- name: select_unsafe
-- Settings with which a server that loses power forgets what it said was committed, or cannot read it.
SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name

-- name: lock_shared
-- "VAVA". Whoever claims and settles shares a campaign; whoever starts, pauses or cancels it has it alone. The
-- locks of a row would let a stream of claims starve a pause: these queue. What follows must be a statement of
-- its own, to see what was committed while this one waited.
SELECT pg_advisory_xact_lock_shared(1447122497, hashtext(%(id)s))

-- name: lock_alone
SELECT pg_advisory_xact_lock(1447122497, hashtext(%(id)s))

-- name: lock_account
-- Two plans of an account that come at once: one waits, then sees the other.
SELECT pg_advisory_xact_lock(1447122500, hashtext(account)) FROM vavasms.campaign WHERE seq = %(campaign)s

-- name: lock_capped
-- Two campaigns that claim the same recipient, where a cap is set, come one after the other. Not a lock for each
-- number: the server's room for locks is small. In order: no two wait for each other.
SELECT pg_advisory_xact_lock(1447122499, bucket) FROM (
    SELECT DISTINCT (phone %% 64)::INTEGER AS bucket FROM vavasms.recipient
    WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL ORDER BY bucket
) AS buckets

-- name: insert_campaign
INSERT INTO vavasms.campaign
    (id, state, account, sender_id, message, policy, created_at, max_segments, daily_cap, retry_of)
VALUES (%(id)s, 'loading', %(account)s, %(sender_id)s, %(message)s, %(policy)s, %(created_at)s,
    %(max_segments)s, %(daily_cap)s, %(retry_of)s)

-- name: select_campaign
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM vavasms.campaign WHERE id = %(id)s

-- name: select_campaigns
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM vavasms.campaign ORDER BY created_at DESC, seq DESC

-- name: select_same_plan
-- What was cancelled before anything was claimed sent nothing a first time. Of one that is not over the text alone
-- must be the same, where both have a recipient: a list that was mended meanwhile makes another plan. A retry says the
-- same to the same as the campaigns that it comes of; nobody is in two retries of one.
WITH RECURSIVE line (id) AS (
    SELECT retry_of FROM vavasms.campaign WHERE seq = %(campaign)s
    UNION SELECT campaign.retry_of FROM vavasms.campaign JOIN line ON campaign.id = line.id
)
SELECT other.id FROM vavasms.campaign AS mine
JOIN vavasms.campaign AS other ON other.account = mine.account AND other.seq <> mine.seq
WHERE mine.seq = %(campaign)s AND ((
    other.plan_hash = %(plan_hash)s AND other.state <> 'loading'
    AND other.id NOT IN (SELECT id FROM line WHERE id IS NOT NULL) AND (other.state <> 'cancelled' OR EXISTS (
        SELECT 1 FROM vavasms.batch WHERE batch.campaign = other.seq AND batch.sending_at IS NOT NULL
    ))
) OR (
    (other.state IN ('queued', 'running', 'paused') AND other.message = mine.message
        OR other.state <> 'loading' AND other.retry_of = mine.retry_of) AND EXISTS (
        SELECT 1 FROM vavasms.recipient
        JOIN vavasms.addressee ON addressee.phone = recipient.phone AND addressee.campaign = other.seq
        WHERE recipient.campaign = mine.seq
    )
) OR (
    -- Nobody knows any more who was in it.
    other.retry_of = mine.retry_of AND other.message = ''
))
ORDER BY other.plan_hash = %(plan_hash)s DESC, other.created_at, other.seq LIMIT 1

-- name: move_campaign
UPDATE vavasms.campaign SET state = %(state)s, reason = %(reason)s,
    revision = revision + (%(state)s = 'running' AND state <> 'running')::INTEGER,
    tracked = CASE WHEN %(state)s = 'running' THEN NULL ELSE tracked END
WHERE seq = %(campaign)s AND state = %(source)s

-- name: set_policy
-- With a budget its segments are counted from the beginning: none comes later, and none goes.
UPDATE vavasms.campaign SET policy = %(policy)s, max_segments = %(max_segments)s::BIGINT
WHERE seq = %(campaign)s AND state IN ('queued', 'paused') AND (max_segments IS NULL) = (%(max_segments)s::BIGINT IS NULL)
    AND policy = coalesce(%(replacing)s::TEXT, policy)

-- name: set_plan
UPDATE vavasms.campaign SET plan = %(plan)s, plan_hash = %(plan_hash)s WHERE seq = %(campaign)s

-- name: copy_recipients
COPY vavasms.recipient (campaign, batch, position, phone) FROM STDIN

-- name: copy_kept_recipients
COPY vavasms.recipient (campaign, batch, position, phone, kept) FROM STDIN

-- name: copy_batches
COPY vavasms.batch (campaign, number, segments, size, message) FROM STDIN

-- name: insert_half
INSERT INTO vavasms.batch (campaign, number, segments, size, excluded, message, sending_at, unknown_attempts)
SELECT %(campaign)s, %(new)s, %(segments)s, count(*), count(exclusion), %(message)s, %(sending_at)s, %(unknown_attempts)s
FROM vavasms.recipient WHERE campaign = %(campaign)s AND batch = %(new)s

-- name: insert_addressees
INSERT INTO vavasms.addressee (phone, campaign, batch)
SELECT phone, campaign, batch FROM vavasms.recipient WHERE campaign = %(campaign)s ORDER BY phone

-- name: move_addressees
UPDATE vavasms.addressee SET batch = %(new)s WHERE campaign = %(campaign)s AND phone IN (
    SELECT phone FROM vavasms.recipient WHERE campaign = %(campaign)s AND batch = %(new)s
)

-- name: delete_addressees
DELETE FROM vavasms.addressee WHERE campaign = %(campaign)s AND phone IN (
    SELECT phone FROM vavasms.recipient WHERE campaign = %(campaign)s
)

-- name: select_claimed
-- One that runs may be claimed at any moment, and somebody was told so.
SELECT 1 FROM vavasms.batch WHERE campaign = %(campaign)s AND sending_at IS NOT NULL
UNION ALL SELECT 1 FROM vavasms.campaign WHERE seq = %(campaign)s AND state = 'running' LIMIT 1

-- name: count_batches
SELECT state, count(*), sum(size), sum(excluded), sum(segments * (size - excluded)),
    sum(segments * (size - excluded) * unknown_attempts)
FROM vavasms.batch WHERE campaign = %(campaign)s GROUP BY state

-- name: count_all_batches
SELECT campaign, state, count(*), sum(size), sum(excluded), sum(segments * (size - excluded)),
    sum(segments * (size - excluded) * unknown_attempts)
FROM vavasms.batch GROUP BY campaign, state ORDER BY campaign

-- name: select_open
-- Whether anything of a campaign is queued or under way.
SELECT EXISTS (SELECT FROM vavasms.batch WHERE campaign = %(campaign)s AND state = 'queued')
    OR EXISTS (SELECT FROM vavasms.batch WHERE campaign = %(campaign)s AND state = 'sending')

-- name: forget_attempts
UPDATE vavasms.batch SET attempt = 0, not_before = 0
WHERE campaign = %(campaign)s AND state = 'queued' AND (attempt > 0 OR not_before > 0)

-- name: select_sending
SELECT campaign.id, batch.number FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE batch.state = 'sending' AND batch.sending_at < %(sent_before)s ORDER BY campaign.seq, batch.number

-- name: reap_batch
-- Whoever was sending is dead: never back to the queue, since its request may have been accepted.
UPDATE vavasms.batch SET state = 'unknown', result = %(result)s
WHERE campaign = %(campaign)s AND number = %(number)s AND state = 'sending' AND sending_at < %(sent_before)s

-- name: cancel_queued
UPDATE vavasms.batch SET state = 'cancelled' WHERE campaign = %(campaign)s AND state = 'queued' AND unknown_attempts = 0

-- name: drop_resends
-- An attempt before may have been sent: nobody can say that nothing was. No answer to any attempt counts now.
UPDATE vavasms.batch SET state = 'unknown', unknown_attempts = unknown_attempts - 1, token = NULL, result = %(result)s
WHERE campaign = %(campaign)s AND number = coalesce(%(number)s::INTEGER, number) AND state = 'queued' AND unknown_attempts > 0

-- name: select_queued
SELECT number, size - excluded, segments, not_before FROM vavasms.batch
WHERE campaign = %(campaign)s AND state = 'queued' AND number > %(after)s ORDER BY number LIMIT %(limit)s

-- name: reserve
SELECT vavasms.reserve(%(account)s, %(messages)s::FLOAT8 / %(rate)s::FLOAT8, %(now)s::FLOAT8, %(skew)s::FLOAT8,
    %(ahead)s::FLOAT8)

-- name: release
UPDATE vavasms.rate SET tat = greatest(tat - %(messages)s::FLOAT8 / %(rate)s::FLOAT8, 0)
WHERE account = %(account)s

-- name: hold_rate
SELECT vavasms.hold_rate(%(account)s, %(until)s::FLOAT8, %(now)s::FLOAT8, %(skew)s::FLOAT8)

-- name: claim_plainly
-- TX1 in one round trip, for most batches: no budget, no cap, no doubt, and nobody to leave out.
SELECT token, message, segments, attempt, phones
FROM vavasms.claim_plainly(%(id)s, %(numbers)s::INTEGER[], %(tokens)s::TEXT[], %(workers)s::TEXT[], %(nows)s::FLOAT8[],
    %(balances)s::TEXT[], %(revisions)s::INTEGER[])

-- name: select_due
-- Locked: who comes second sees that it is no longer queued. What is put off beyond "latest" was put off by a clock
-- that was set back since.
SELECT batch.message, batch.segments, batch.attempt, batch.unknown_attempts
FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(campaign_id)s AND campaign.state = 'running'
    AND campaign.revision = coalesce(%(revision)s::INTEGER, campaign.revision)
    AND batch.number = %(number)s AND batch.state = 'queued'
    AND (batch.not_before <= %(now)s OR batch.not_before > %(latest)s)
FOR NO KEY UPDATE OF batch

-- name: exclude_opted_out
UPDATE vavasms.recipient SET exclusion = 'opted_out'
WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL
    AND phone IN (SELECT phone FROM vavasms.opt_out)
RETURNING 1

-- name: exclude_capped
WITH mine AS (
    SELECT phone FROM vavasms.recipient
    WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL
), had AS (
    SELECT addressee.phone FROM mine
    JOIN vavasms.addressee ON addressee.phone = mine.phone
    JOIN vavasms.batch ON batch.campaign = addressee.campaign AND batch.number = addressee.batch
    JOIN vavasms.recipient AS earlier ON earlier.campaign = addressee.campaign
        AND earlier.batch = addressee.batch AND earlier.phone = addressee.phone
    WHERE earlier.exclusion IS NULL AND batch.sending_at > %(since)s
    GROUP BY addressee.phone
    HAVING sum(batch.unknown_attempts + (batch.state IN ('sending', 'accepted', 'unknown'))::INTEGER) >= %(cap)s
)
UPDATE vavasms.recipient SET exclusion = 'capped'
WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL AND phone IN (SELECT phone FROM had)
RETURNING 1

-- name: select_included
SELECT phone FROM vavasms.recipient
WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL ORDER BY position

-- name: add_excluded
UPDATE vavasms.batch SET excluded = excluded + %(excluded)s WHERE campaign = %(campaign)s AND number = %(number)s

-- name: cancel_batch
UPDATE vavasms.batch SET state = 'cancelled'
WHERE campaign = %(campaign)s AND number = %(number)s AND state = 'queued'

-- name: claim_batch
-- TX1: the intent, before any byte leaves.
UPDATE vavasms.batch SET state = 'sending', token = %(token)s, worker = %(worker)s, sending_at = %(now)s,
    attempt = attempt + 1, balance_before = %(balance)s, balance_after = NULL, result = NULL
WHERE campaign = %(campaign)s AND number = %(number)s AND state = 'queued'

-- name: take_segments
-- Of claims that come together each sees what the one before took.
UPDATE vavasms.campaign SET committed = committed + %(segments)s
WHERE seq = %(campaign)s AND committed + %(segments)s <= max_segments

-- name: give_back_segments
UPDATE vavasms.campaign SET committed = committed - %(segments)s
WHERE seq = %(campaign)s AND max_segments IS NOT NULL

-- name: select_attempt
-- TX2, fenced: a late true answer may raise `unknown`, and never overwrites a newer attempt.
SELECT message, segments, size - excluded, sending_at, unknown_attempts FROM vavasms.batch
WHERE campaign = %(campaign)s AND number = %(number)s AND token = %(token)s AND state IN ('sending', 'unknown')
FOR NO KEY UPDATE

-- name: settle_batch
UPDATE vavasms.batch SET state = %(state)s, result = %(result)s, not_before = %(not_before)s, unknown_attempts = %(unknown_attempts)s,
    token = %(kept_token)s
WHERE campaign = %(campaign)s AND number = %(number)s AND token = %(token)s

-- name: accept_batches
-- TX2 in one round trip, for what the gateway took.
SELECT vavasms.accept_batches(%(id)s, %(numbers)s::INTEGER[], %(tokens)s::TEXT[], %(results)s::TEXT[],
    %(purged_results)s::TEXT[])

-- name: delete_batch
DELETE FROM vavasms.batch WHERE campaign = %(campaign)s AND number = %(number)s

-- name: select_last_number
SELECT max(number) FROM vavasms.batch WHERE campaign = %(campaign)s

-- name: select_middle
SELECT position FROM vavasms.recipient
WHERE campaign = %(campaign)s AND batch = %(number)s AND exclusion IS NULL ORDER BY position LIMIT 1 OFFSET %(half)s

-- name: move_recipients
UPDATE vavasms.recipient SET batch = %(new)s
WHERE campaign = %(campaign)s AND batch = %(number)s AND position >= %(first)s AND position < %(end)s

-- name: note_balance
-- In order: no two wait for each other.
WITH mine AS (
    SELECT number FROM vavasms.batch
    WHERE campaign = %(campaign)s AND number = ANY(%(numbers)s::INTEGER[]) AND balance_after IS NULL
    ORDER BY number FOR NO KEY UPDATE
)
UPDATE vavasms.batch SET balance_after = %(balance)s
FROM mine WHERE batch.campaign = %(campaign)s AND batch.number = mine.number

-- name: select_some_unknown
SELECT number, result FROM vavasms.batch
WHERE campaign = %(campaign)s AND number = ANY(%(numbers)s::INTEGER[]) AND state = 'unknown' ORDER BY number

-- name: mark_sent
UPDATE vavasms.batch SET state = 'accepted', result = marked.result
FROM unnest(%(numbers)s::INTEGER[], %(results)s::TEXT[]) AS marked (number, result)
WHERE batch.campaign = %(campaign)s AND batch.number = marked.number AND batch.state = 'unknown'

-- name: resend
-- The token goes: a late answer of the old attempt must not settle the new one.
UPDATE vavasms.batch SET state = 'queued', token = NULL, result = NULL, attempt = 0, not_before = 0,
    unknown_attempts = unknown_attempts + 1
WHERE campaign = %(campaign)s AND number = ANY(%(numbers)s::INTEGER[]) AND state = 'unknown'
    AND sending_at < least(%(sent_before)s::FLOAT8, extract(epoch FROM clock_timestamp())::FLOAT8 - %(grace)s::FLOAT8)
RETURNING number

-- name: select_batches
SELECT number, state, segments, result, sending_at, balance_before, balance_after, message, unknown_attempts FROM vavasms.batch
WHERE campaign = %(campaign)s AND number > %(after)s ORDER BY number LIMIT %(limit)s

-- name: select_unknown
SELECT number, state, segments, result, sending_at, balance_before, balance_after, message, unknown_attempts FROM vavasms.batch
WHERE campaign = %(campaign)s AND state = 'unknown' ORDER BY number

-- name: select_recipients
SELECT batch, phone, exclusion, kept FROM vavasms.recipient
WHERE campaign = %(campaign)s AND batch = ANY(%(numbers)s::INTEGER[]) ORDER BY batch, position

-- name: select_active_since
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM vavasms.campaign WHERE message <> '' AND EXISTS (
    SELECT 1 FROM vavasms.batch WHERE batch.campaign = campaign.seq AND batch.sending_at >= %(since)s
) ORDER BY created_at, seq

-- name: select_reached
SELECT phone FROM vavasms.batch
JOIN vavasms.recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = %(campaign)s AND sending_at >= %(since)s AND exclusion IS NULL
    AND (state IN ('sending', 'accepted', 'unknown') OR unknown_attempts > 0)

-- name: select_addressed
-- What is queued is still to be sent, or may have been before.
SELECT phone FROM vavasms.batch
JOIN vavasms.recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = %(campaign)s AND exclusion IS NULL AND state IN ('queued', 'sending', 'accepted', 'unknown')

-- name: select_retries
SELECT seq, id, state, reason, account, sender_id, message, policy, plan, plan_hash, created_at,
    revision, retry_of, max_segments, daily_cap
FROM vavasms.campaign WHERE retry_of = %(id)s AND plan_hash <> '' ORDER BY created_at, seq

-- name: select_loaded
SELECT phone FROM vavasms.recipient WHERE campaign = %(campaign)s

-- name: record_delivery
INSERT INTO vavasms.delivery AS delivery (campaign, message_id, status, raw_status, at, prefix)
VALUES (%(campaign)s, %(message_id)s, %(status)s, %(raw_status)s, %(at)s, %(prefix)s)
ON CONFLICT (campaign, message_id) DO UPDATE SET
    status = excluded.status, raw_status = excluded.raw_status, at = excluded.at, prefix = excluded.prefix
WHERE excluded.at >= delivery.at

-- name: select_deliveries
SELECT message_id, status, raw_status, at, prefix FROM vavasms.delivery
WHERE campaign = %(campaign)s AND message_id = ANY(%(ids)s::TEXT[])

-- name: select_results
SELECT number, result FROM vavasms.batch
WHERE campaign = %(campaign)s AND number > %(after)s ORDER BY number LIMIT %(limit)s

-- name: count_deliveries
SELECT prefix, status, count(*) FROM vavasms.delivery WHERE campaign = %(campaign)s GROUP BY prefix, status

-- name: count_accepted_by_prefix
SELECT left(recipient.phone::TEXT, %(digits)s) AS prefix, count(*) FROM vavasms.batch AS batch
JOIN vavasms.recipient AS recipient ON recipient.campaign = batch.campaign AND recipient.batch = batch.number
WHERE batch.campaign = %(campaign)s AND batch.state = 'accepted' AND recipient.exclusion IS NULL
GROUP BY prefix ORDER BY prefix

-- name: select_tracking
SELECT tracked FROM vavasms.campaign WHERE seq = %(campaign)s

-- name: select_to_track
-- What was purged has no text any more, and no ids.
SELECT id FROM vavasms.campaign AS campaign
WHERE account = %(account)s AND tracked IS NULL AND state <> 'loading' AND message <> '' AND EXISTS (
    SELECT 1 FROM vavasms.batch AS batch
    WHERE batch.campaign = campaign.seq AND batch.state = 'accepted' AND batch.sending_at >= %(since)s
)
ORDER BY created_at, seq

-- name: lock_tracking
-- Of a session, not of a transaction: it ends with its connection, and that with whoever is killed.
SELECT pg_try_advisory_lock(1447122505, hashtext(%(account)s))

-- name: end_tracking
UPDATE vavasms.campaign SET tracked = %(reason)s
WHERE seq = %(campaign)s AND revision = coalesce(%(revision)s::INTEGER, revision)

-- name: expire_tracking
-- Once each: whoever looks for what is to be asked after need not go over an old campaign's batches again.
UPDATE vavasms.campaign AS campaign SET tracked = %(reason)s
WHERE account = %(account)s AND tracked IS NULL AND state <> 'loading' AND EXISTS (
    SELECT 1 FROM vavasms.batch AS batch WHERE batch.campaign = campaign.seq AND batch.state = 'accepted'
) AND NOT EXISTS (
    SELECT 1 FROM vavasms.batch AS batch
    WHERE batch.campaign = campaign.seq AND batch.state = 'accepted' AND batch.sending_at >= %(before)s
)

-- name: purge_batches
UPDATE vavasms.batch SET message = '', result = kept.result
FROM unnest(%(numbers)s::INTEGER[], %(results)s::TEXT[]) AS kept (number, result)
WHERE batch.campaign = %(campaign)s AND batch.number = kept.number

-- name: purge_campaign
UPDATE vavasms.campaign SET message = '' WHERE seq = %(campaign)s

-- name: purge_addressees
-- Those of the batches that the next query deletes.
DELETE FROM vavasms.addressee WHERE campaign = %(campaign)s AND phone IN (
    SELECT phone FROM vavasms.recipient WHERE campaign = %(campaign)s AND batch <= coalesce((
        SELECT batch FROM vavasms.recipient WHERE campaign = %(campaign)s
        ORDER BY batch, position LIMIT 1 OFFSET %(rows)s
    ), batch)
)

-- name: purge_recipients
-- Whole batches, up to the one in which the limit falls.
DELETE FROM vavasms.recipient WHERE campaign = %(campaign)s AND batch <= coalesce((
    SELECT batch FROM vavasms.recipient WHERE campaign = %(campaign)s
    ORDER BY batch, position LIMIT 1 OFFSET %(rows)s
), batch)

-- name: purge_deliveries
DELETE FROM vavasms.delivery WHERE campaign = %(campaign)s AND message_id IN (
    SELECT message_id FROM vavasms.delivery WHERE campaign = %(campaign)s LIMIT %(rows)s
)

-- name: delete_recipients
DELETE FROM vavasms.recipient WHERE campaign = %(campaign)s

-- name: delete_batches
DELETE FROM vavasms.batch WHERE campaign = %(campaign)s

-- name: delete_deliveries
DELETE FROM vavasms.delivery WHERE campaign = %(campaign)s

-- name: delete_campaign
DELETE FROM vavasms.campaign WHERE seq = %(campaign)s

-- name: select_opt_outs
SELECT phone, source, at FROM vavasms.opt_out WHERE phone > %(after)s ORDER BY phone LIMIT %(limit)s

-- name: select_opted_out
SELECT phone FROM vavasms.opt_out

-- name: outrank_links
-- A STOP after the press of a link: whoever holds the link must not take that back.
UPDATE vavasms.opt_out SET source = %(source)s, at = %(at)s::FLOAT8 WHERE phone IN (
    SELECT phone FROM vavasms.opt_out
    WHERE phone = ANY(%(phones)s::BIGINT[]) AND source = %(link)s AND %(source)s::TEXT <> %(link)s
    ORDER BY phone FOR UPDATE
)

-- name: add_opt_outs
INSERT INTO vavasms.opt_out (phone, source, at)
SELECT DISTINCT phone, %(source)s, %(at)s::FLOAT8 FROM unnest(%(phones)s::BIGINT[]) AS given (phone)
ORDER BY phone
ON CONFLICT (phone) DO NOTHING

-- name: remove_opt_outs
DELETE FROM vavasms.opt_out WHERE phone = ANY(%(phones)s::BIGINT[])
