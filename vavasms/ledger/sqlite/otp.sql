-- name: select_of_number
-- The code that is one too many for another: the latest but so many.
SELECT at FROM otp_event
WHERE account = :account AND phone = :phone AND kind = 'code' AND at > :since AND at < :beyond
ORDER BY at DESC LIMIT 1 OFFSET :others

-- name: select_of_client
SELECT at FROM otp_event INDEXED BY otp_event_client
WHERE account = :account AND client = :client AND kind = 'code' AND at > :since AND at < :beyond
ORDER BY at DESC LIMIT 1 OFFSET :others

-- name: select_of_range
SELECT at FROM otp_event INDEXED BY otp_event_range
WHERE account = :account AND number_range = :number_range AND kind = 'code' AND at > :since AND at < :beyond
ORDER BY at DESC LIMIT 1 OFFSET :others

-- name: select_cool_down
SELECT max(at), count(*) FROM (
    SELECT at FROM otp_event
    WHERE account = :account AND phone = :phone AND kind = 'code' AND at > :since AND at < :beyond
    ORDER BY at DESC LIMIT :most
)

-- name: select_segments
-- The code that must be a day old first: with it and those before it, enough segments are free again. Each code has
-- one at least, so no more codes are looked at than there are segments too many; none where there is room.
WITH used AS (
    SELECT coalesce(sum(segments), 0) - :room AS excess FROM otp_event INDEXED BY otp_event_segments
    WHERE account = :account AND kind = 'code' AND at > :since AND at < :beyond
)
SELECT at FROM (
    SELECT at, sum(segments) OVER (ORDER BY at ROWS UNBOUNDED PRECEDING) AS freed FROM (
        SELECT at, segments FROM otp_event INDEXED BY otp_event_segments
        WHERE account = :account AND kind = 'code' AND at > :since AND at < :beyond
        ORDER BY at LIMIT max((SELECT excess FROM used), 0)
    ) AS oldest
) AS added
WHERE freed >= (SELECT excess FROM used) ORDER BY at LIMIT 1

-- name: select_guesses
-- Since the last code, by the order in which they were written: no clock decides.
SELECT at FROM otp_event
WHERE account = :account AND phone = :phone AND kind = 'guess' AND seq > (
    SELECT coalesce(max(seq), 0) FROM otp_event
    WHERE account = :account AND phone = :phone AND kind = 'code' AND rejected = 0
)
ORDER BY seq LIMIT 1 OFFSET :others

-- name: insert_event
INSERT INTO otp_event (account, kind, token, phone, number_range, client, segments, at)
VALUES (:account, :kind, :token, :phone, :number_range, :client, :segments, :now)

-- name: delete_event
DELETE FROM otp_event WHERE token = :token AND account = :account

-- name: reject_event
UPDATE otp_event SET rejected = 1 WHERE token = :token AND account = :account

-- name: forget_events
-- A little with each that is kept.
DELETE FROM otp_event WHERE seq IN (SELECT seq FROM otp_event WHERE at < :before OR at > :beyond LIMIT :limit)
