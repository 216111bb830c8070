-- name: select_codes
-- :phones is a JSON list of whole numbers.
SELECT phone, code, campaign FROM opt_out_code WHERE phone IN (SELECT value FROM json_each(:phones))

-- name: share_codes
-- They are in others' texts from now on: no campaign takes them along.
UPDATE opt_out_code SET campaign = NULL WHERE phone IN (SELECT value FROM json_each(:phones))

-- name: insert_codes
-- :rows is a JSON list of pairs. A code that is somebody's is drawn anew.
INSERT INTO opt_out_code (phone, code, campaign)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), :campaign FROM json_each(:rows) WHERE true
ON CONFLICT DO NOTHING

-- name: share_codes_of_first
-- A retry repeats the texts of the first one, with the codes in them.
UPDATE opt_out_code SET campaign = NULL
WHERE campaign = (SELECT seq FROM campaign WHERE id = :retry_of)

-- name: discard_codes
DELETE FROM opt_out_code WHERE campaign = :campaign

-- name: select_holder
SELECT opt_out_code.phone, opt_out.source, opt_out.at
FROM opt_out_code LEFT JOIN opt_out ON opt_out.phone = opt_out_code.phone WHERE code = :code

-- name: add_opt_out
INSERT INTO opt_out (phone, source, at) SELECT phone, :source, :at FROM opt_out_code WHERE code = :code
ON CONFLICT (phone) DO NOTHING

-- name: take_back
DELETE FROM opt_out WHERE source = :source AND phone = (SELECT phone FROM opt_out_code WHERE code = :code)
