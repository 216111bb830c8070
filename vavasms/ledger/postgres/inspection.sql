-- name: bound_statements
SELECT set_config('statement_timeout', '8s', false), set_config('default_transaction_read_only', 'on', false)

-- name: select_server
SELECT current_setting('server_version'),
    NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'

-- name: select_rights
-- Whether this user may write to every table of ours.
SELECT coalesce(bool_and(has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE')), TRUE)
FROM pg_class
WHERE relkind = 'r' AND relname IN ('campaign', 'batch', 'recipient', 'send')
    AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'vavasms')

-- name: count_load
SELECT (SELECT count(*) FROM vavasms.campaign WHERE state = 'running'),
    (SELECT count(*) FROM vavasms.batch WHERE state = 'sending')
        + (SELECT count(*) FROM vavasms.send WHERE state = 'sending'),
    (
        SELECT count(*) FROM vavasms.send
        WHERE state = 'queued' AND enqueued
            AND greatest(not_before, created_at) <= extract(epoch FROM clock_timestamp()) - %(overdue)s
    )

-- name: count_workers
SELECT count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %(silence)s)),
    count(*) FILTER (WHERE last_heartbeat <= now() - make_interval(secs => %(silence)s))
FROM vavasms_jobs.procrastinate_workers
