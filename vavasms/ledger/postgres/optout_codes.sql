-- name: lock_codes
-- Behind a campaign's own lock. One at a time draws them: two that draw for the same numbers, some of which have
-- codes already, would wait for each other, and a campaign that is discarded takes its own along.
SELECT pg_advisory_xact_lock(1447122506, 0)

-- name: select_codes
SELECT phone, code, campaign FROM vavasms.opt_out_code WHERE phone = ANY(%(phones)s::BIGINT[])

-- name: share_codes
-- They are in others' texts from now on: no campaign takes them along.
UPDATE vavasms.opt_out_code SET campaign = NULL WHERE phone = ANY(%(phones)s::BIGINT[])

-- name: insert_codes
-- A code that is somebody's is drawn anew.
INSERT INTO vavasms.opt_out_code (phone, code, campaign)
SELECT phone, code, %(campaign)s FROM unnest(%(phones)s::BIGINT[], %(codes)s::TEXT[]) AS drawn (phone, code)
ON CONFLICT DO NOTHING

-- name: share_codes_of_first
-- A retry repeats the texts of the first one, with the codes in them.
UPDATE vavasms.opt_out_code SET campaign = NULL
WHERE campaign = (SELECT seq FROM vavasms.campaign WHERE id = %(retry_of)s)

-- name: discard_codes
DELETE FROM vavasms.opt_out_code WHERE campaign = %(campaign)s

-- name: select_holder
SELECT opt_out_code.phone, opt_out.source, opt_out.at
FROM vavasms.opt_out_code LEFT JOIN vavasms.opt_out ON opt_out.phone = opt_out_code.phone WHERE code = %(code)s

-- name: add_opt_out
INSERT INTO vavasms.opt_out (phone, source, at)
SELECT phone, %(source)s, %(at)s::FLOAT8 FROM vavasms.opt_out_code WHERE code = %(code)s
ON CONFLICT (phone) DO NOTHING

-- name: take_back
DELETE FROM vavasms.opt_out
WHERE source = %(source)s AND phone = (SELECT phone FROM vavasms.opt_out_code WHERE code = %(code)s)
