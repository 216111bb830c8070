-- What the stage asks of the ledger beside its own methods. A worker is named host:process:…, and there is one
-- campaign.

-- name: select_under_way
SELECT split_part(worker, ':', 2)::INTEGER AS pid, number, size - excluded FROM vavasms.batch
WHERE state = 'sending' ORDER BY pid, number

-- name: select_carried
SELECT split_part(worker, ':', 2)::INTEGER AS pid, sum(size - excluded) FROM vavasms.batch
WHERE worker IS NOT NULL GROUP BY pid
