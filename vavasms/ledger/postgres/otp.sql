-- name: lock_codes
-- Whoever counts a code of an account waits for the one before it, and sees it.
SELECT pg_advisory_xact_lock(1447122504, hashtext(%(account)s))

-- name: select_of_number
-- The code that is one too many for another: the latest but so many.
SELECT at FROM vavasms.otp_event
WHERE account = %(account)s AND phone = %(phone)s AND kind = 'code' AND at > %(since)s AND at < %(beyond)s
ORDER BY at DESC LIMIT 1 OFFSET %(others)s

-- name: select_of_client
SELECT at FROM vavasms.otp_event
WHERE account = %(account)s AND client = %(client)s AND kind = 'code' AND at > %(since)s AND at < %(beyond)s
ORDER BY at DESC LIMIT 1 OFFSET %(others)s

-- name: select_of_range
SELECT at FROM vavasms.otp_event
WHERE account = %(account)s AND number_range = %(number_range)s AND kind = 'code'
    AND at > %(since)s AND at < %(beyond)s
ORDER BY at DESC LIMIT 1 OFFSET %(others)s

-- name: select_cool_down
SELECT max(at), count(*) FROM (
    SELECT at FROM vavasms.otp_event
    WHERE account = %(account)s AND phone = %(phone)s AND kind = 'code' AND at > %(since)s AND at < %(beyond)s
    ORDER BY at DESC LIMIT %(most)s
) AS latest

-- name: select_segments
-- The code that must be a day old first: with it and those before it, enough segments are free again. Each code has
-- one at least, so no more codes are looked at than there are segments too many; none where there is room.
WITH used AS (
    SELECT coalesce(sum(segments), 0) - %(room)s AS excess FROM vavasms.otp_event
    WHERE account = %(account)s AND kind = 'code' AND at > %(since)s AND at < %(beyond)s
)
SELECT at FROM (
    SELECT at, sum(segments) OVER (ORDER BY at ROWS UNBOUNDED PRECEDING) AS freed FROM (
        SELECT at, segments FROM vavasms.otp_event
        WHERE account = %(account)s AND kind = 'code' AND at > %(since)s AND at < %(beyond)s
        ORDER BY at LIMIT (SELECT greatest(excess, 0) FROM used)
    ) AS oldest
) AS added
WHERE freed >= (SELECT excess FROM used) ORDER BY at LIMIT 1

-- name: select_guesses
-- Since the last code, by the order in which they were written: no clock decides.
SELECT at FROM vavasms.otp_event
WHERE account = %(account)s AND phone = %(phone)s AND kind = 'guess' AND seq > (
    SELECT coalesce(max(seq), 0) FROM vavasms.otp_event
    WHERE account = %(account)s AND phone = %(phone)s AND kind = 'code' AND NOT rejected
)
ORDER BY seq LIMIT 1 OFFSET %(others)s

-- name: insert_event
INSERT INTO vavasms.otp_event (account, kind, token, phone, number_range, client, segments, at)
VALUES (%(account)s, %(kind)s, %(token)s, %(phone)s, %(number_range)s, %(client)s, %(segments)s, %(now)s)

-- name: delete_event
DELETE FROM vavasms.otp_event WHERE token = %(token)s AND account = %(account)s

-- name: reject_event
UPDATE vavasms.otp_event SET rejected = TRUE WHERE token = %(token)s AND account = %(account)s

-- name: forget_events
-- A little with each that is kept; what another one forgets at this moment is left to it.
DELETE FROM vavasms.otp_event WHERE seq IN (
    SELECT seq FROM vavasms.otp_event WHERE at < %(before)s OR at > %(beyond)s
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
