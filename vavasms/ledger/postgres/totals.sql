-- name: select_campaigns
SELECT seq, state, created_at, CASE WHEN seq = ANY(%(known)s::BIGINT[]) THEN '' ELSE policy END
FROM vavasms.campaign WHERE account = %(account)s

-- name: count_batches
-- The error is looked for in the text: a NUL that a gateway said would end the reading of it as JSON. No other value
-- holds these letters, since a quotation mark within one has a backslash before it.
SELECT campaign, state,
    CASE WHEN state IN ('rejected', 'unknown') THEN coalesce(substring(result FROM '"code":"([a-z0-9_.]+)"'), '')
        ELSE '' END AS code,
    count(*), sum(size), sum(excluded), sum(segments * (size - excluded))::BIGINT,
    sum(segments * (size - excluded) * unknown_attempts)::BIGINT
FROM vavasms.batch WHERE campaign = ANY(%(campaigns)s::BIGINT[]) GROUP BY campaign, state, code

-- name: count_sends
SELECT kind, state,
    CASE WHEN state IN ('rejected', 'unknown', 'cancelled')
        THEN coalesce(substring(result FROM '"code":"([a-z0-9_.]+)"'), '') ELSE '' END AS code,
    count(*), sum(size), 0, sum(segments * size)::BIGINT, 0
FROM vavasms.send WHERE account = %(account)s GROUP BY kind, state, code

-- name: measure_wait
WITH clock AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::FLOAT8 AS now)
SELECT now, (
    SELECT coalesce(max(now - greatest(not_before, created_at)), 0) FROM vavasms.send
    WHERE account = %(account)s AND state = 'queued' AND enqueued AND greatest(not_before, created_at) <= now
) FROM clock

-- name: count_workers
SELECT count(*) FROM vavasms_jobs.procrastinate_workers
WHERE last_heartbeat > clock_timestamp() - make_interval(secs => %(silence)s)

-- name: check
-- Read-only is a standby too.
SELECT current_setting('transaction_read_only')::BOOLEAN, count(*) FROM vavasms.send WHERE state = 'sending'
