-- name: count_load
SELECT (SELECT count(*) FROM campaign WHERE state = 'running'),
    (SELECT count(*) FROM batch WHERE state = 'sending') + (SELECT count(*) FROM send WHERE state = 'sending'),
    (
        SELECT count(*) FROM send
        WHERE state = 'queued' AND enqueued = 1 AND not_before <= :before AND created_at <= :before
    )
