-- name: select_campaigns
SELECT seq, state, created_at, CASE WHEN seq IN (SELECT value FROM json_each(:known)) THEN '' ELSE policy END
FROM campaign WHERE account = :account

-- name: count_batches
-- By the index alone, save for what was refused or is unknown: there the error is on the row.
SELECT campaign, state, '', count(*), sum(size), sum(excluded), sum(segments * (size - excluded)),
    sum(segments * (size - excluded) * unknown_attempts)
FROM batch INDEXED BY batch_progress
WHERE campaign IN (SELECT value FROM json_each(:campaigns)) AND state IN ('queued', 'sending', 'accepted', 'cancelled')
GROUP BY campaign, state
UNION ALL
SELECT campaign, state, coalesce(json_extract(result, '$.code'), '') AS code, count(*), sum(size), sum(excluded),
    sum(segments * (size - excluded)), sum(segments * (size - excluded) * unknown_attempts)
FROM batch INDEXED BY batch_progress
WHERE campaign IN (SELECT value FROM json_each(:campaigns)) AND state IN ('rejected', 'unknown')
GROUP BY campaign, state, code

-- name: count_sends
-- Most were accepted: without a group they need no sort (and before SQLite 3.39 no HAVING is taken there). Row by row,
-- not by the key, which leads all over the file.
SELECT * FROM (
    SELECT 'text', 'accepted', '', count(*) AS n, sum(size), 0, sum(segments * size), 0
    FROM send NOT INDEXED WHERE account = :account AND state = 'accepted' AND kind = 'text'
) WHERE n > 0
UNION ALL
SELECT * FROM (
    SELECT 'otp', 'accepted', '', count(*) AS n, sum(size), 0, sum(segments * size), 0
    FROM send NOT INDEXED WHERE account = :account AND state = 'accepted' AND kind = 'otp'
) WHERE n > 0
UNION ALL
SELECT kind, state,
    CASE WHEN state IN ('rejected', 'unknown', 'cancelled') THEN coalesce(json_extract(result, '$.code'), '') ELSE '' END
        AS code,
    count(*), sum(size), 0, sum(segments * size), 0
FROM send NOT INDEXED WHERE account = :account AND state <> 'accepted' GROUP BY kind, state, code

-- name: measure_wait
SELECT coalesce(max(:now - max(not_before, created_at)), 0) FROM send INDEXED BY send_queued
WHERE account = :account AND state = 'queued' AND enqueued = 1 AND max(not_before, created_at) <= :now

-- name: check
SELECT count(*) FROM send INDEXED BY send_sending WHERE state = 'sending'
