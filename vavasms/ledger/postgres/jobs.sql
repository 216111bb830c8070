-- name: select_waking
-- Of these batches, what waits and has no job that waits, neither its own nor one of its stretch.
SELECT batch.number, batch.size - batch.excluded, batch.segments, batch.not_before FROM vavasms.batch
WHERE batch.campaign = %(campaign)s AND batch.number = ANY(%(numbers)s::INTEGER[]) AND batch.state = 'queued'
    AND NOT EXISTS (
        SELECT FROM vavasms_jobs.procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.queueing_lock = %(id)s || '/' || batch.number
    )
    AND NOT EXISTS (
        SELECT FROM vavasms_jobs.procrastinate_jobs AS job
        WHERE job.status = 'todo'
            AND job.queueing_lock = %(id)s || '/' || batch.number / %(stretch)s::INTEGER * %(stretch)s::INTEGER || '+'
    )
ORDER BY batch.number

-- name: select_last_batch
SELECT coalesce(max(number), 0) FROM vavasms.batch WHERE campaign = %(campaign)s

-- name: select_jobless
-- What waits, is due, and has no job at all: its worker stopped, or its job was lost. The jobs that wait are looked
-- up by their index, which knows no others; of those at work there are few.
WITH taken AS MATERIALIZED (
    SELECT (each ->> 0)::INTEGER AS number
    FROM vavasms_jobs.procrastinate_jobs AS job, jsonb_array_elements(job.args -> 'batches') AS each
    WHERE job.status = 'doing' AND job.args ->> 'campaign' = %(id)s
)
SELECT batch.number FROM vavasms.batch
WHERE batch.campaign = %(campaign)s AND batch.state = 'queued' AND batch.not_before <= %(now)s
    AND NOT EXISTS (
        SELECT FROM vavasms_jobs.procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.queueing_lock = %(id)s || '/' || batch.number
    )
    AND NOT EXISTS (
        SELECT FROM vavasms_jobs.procrastinate_jobs AS job
        WHERE job.status = 'todo'
            AND job.queueing_lock = %(id)s || '/' || batch.number / %(stretch)s::INTEGER * %(stretch)s::INTEGER || '+'
    )
    AND batch.number NOT IN (SELECT number FROM taken)
ORDER BY batch.number LIMIT %(limit)s

-- name: delete_jobs
DELETE FROM vavasms_jobs.procrastinate_jobs
WHERE status = 'todo' AND queue_name = %(queue)s AND args ->> 'campaign' = %(id)s

-- name: lock_maintenance
SELECT pg_try_advisory_xact_lock(1447122501, hashtext(%(id)s))

-- name: select_running
SELECT extract(epoch FROM clock_timestamp())::FLOAT8, campaign.id, campaign.revision FROM (SELECT 1) AS once
LEFT JOIN vavasms.campaign ON account = %(account)s AND state = 'running'

-- name: take_turn
-- Whether it is time to look again: over a long backlog that is no small matter, and one of all is enough.
-- A look in the future is a clock's fault.
UPDATE vavasms.campaign SET looked_at = %(now)s
WHERE id = %(id)s AND (looked_at <= %(now)s - %(every)s OR looked_at > %(now)s + 60)
RETURNING 1

-- name: select_now
SELECT extract(epoch FROM clock_timestamp())::FLOAT8

-- name: select_batch_states
SELECT DISTINCT batch.state FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE campaign.id = %(id)s AND batch.number = ANY(%(numbers)s::INTEGER[])

-- name: select_under_way
-- Segments under way of an account, in all campaigns and single sends.
SELECT coalesce(sum(batch.segments * (batch.size - batch.excluded)), 0) + (
    SELECT coalesce(sum(segments * size), 0) FROM vavasms.send WHERE account = %(account)s AND state = 'sending'
)
FROM vavasms.batch JOIN vavasms.campaign ON campaign.seq = batch.campaign
WHERE batch.state = 'sending' AND campaign.account = %(account)s

-- name: cancel_stuck
-- Whoever loaded it is long gone.
UPDATE vavasms.campaign SET state = 'cancelled', reason = %(reason)s
WHERE account = %(account)s AND state = 'loading' AND created_at < %(before)s
