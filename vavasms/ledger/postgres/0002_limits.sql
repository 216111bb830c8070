-- Counts the starts after a pause: limits change while a campaign waits, so who knows an older number knows others.
ALTER TABLE vavasms.campaign ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- The latest time that was passed in with a reservation: a clock that was set back shows by it.
ALTER TABLE vavasms.rate ADD COLUMN at DOUBLE PRECISION NOT NULL DEFAULT 0;
-- What was reserved before an upgrade is over.
DELETE FROM vavasms.rate;

-- GCRA: the wait is what the tat was ahead. Where that is more than p_ahead nothing is taken: whoever dies while it
-- waits leaves the rate to the others. A clock that was set back by more than the clocks differ takes the tat along.
CREATE FUNCTION vavasms.reserve(
    p_account TEXT, p_cost DOUBLE PRECISION, p_now DOUBLE PRECISION, p_skew DOUBLE PRECISION, p_ahead DOUBLE PRECISION
) RETURNS DOUBLE PRECISION
LANGUAGE plpgsql AS $$
DECLARE
    mine vavasms.rate%ROWTYPE;
BEGIN
    INSERT INTO vavasms.rate (account, tat, at) VALUES (p_account, p_now, p_now) ON CONFLICT (account) DO NOTHING;
    SELECT * INTO mine FROM vavasms.rate WHERE account = p_account FOR UPDATE;
    IF p_now < mine.at - p_skew THEN
        mine.tat := mine.tat - (mine.at - p_now);
        mine.at := p_now;
    END IF;
    UPDATE vavasms.rate SET at = greatest(mine.at, p_now),
        tat = CASE WHEN mine.tat - p_now > p_ahead THEN mine.tat ELSE greatest(mine.tat, p_now) + p_cost END
    WHERE account = p_account;
    RETURN greatest(mine.tat - p_now, 0);
END;
$$;

CREATE FUNCTION vavasms.hold_rate(
    p_account TEXT, p_until DOUBLE PRECISION, p_now DOUBLE PRECISION, p_skew DOUBLE PRECISION
) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vavasms.reserve(p_account, 0, p_now, p_skew, 0);
    UPDATE vavasms.rate SET tat = greatest(tat, p_until) WHERE account = p_account;
END;
$$;

-- The two transactions of most batches, each for as many batches of a campaign as come together in one worker, in
-- one round trip and one commit. Within a function each statement sees what was committed before it began: so the
-- campaign is read after its lock is held. In the order of the batches: no two workers wait for each other.

-- A ledger that an earlier 0001 made has both, and this one with fewer arguments.
DROP FUNCTION IF EXISTS vavasms.claim_plainly(TEXT, INTEGER[], TEXT[], TEXT[], DOUBLE PRECISION[], TEXT[]);
CREATE FUNCTION vavasms.claim_plainly(
    p_id TEXT, p_numbers INTEGER[], p_tokens TEXT[], p_workers TEXT[], p_nows DOUBLE PRECISION[], p_balances TEXT[],
    p_revisions INTEGER[]
) RETURNS TABLE (token TEXT, message TEXT, segments INTEGER, attempt INTEGER, phones BIGINT[])
LANGUAGE plpgsql AS $$
DECLARE
    at INTEGER;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1447122497, hashtext(p_id));
    FOR at IN SELECT given.at FROM unnest(p_numbers) WITH ORDINALITY AS given (number, at) ORDER BY given.number LOOP
        RETURN QUERY
        UPDATE vavasms.batch AS mine SET state = 'sending', token = p_tokens[at], worker = p_workers[at],
            sending_at = p_nows[at], attempt = mine.attempt + 1, balance_before = p_balances[at],
            balance_after = NULL, result = NULL
        FROM vavasms.campaign AS its
        WHERE its.id = p_id AND its.state = 'running' AND its.max_segments IS NULL AND its.daily_cap IS NULL
            AND its.revision = coalesce(p_revisions[at], its.revision)
            AND mine.campaign = its.seq AND mine.number = p_numbers[at]
            AND mine.state = 'queued' AND mine.not_before <= p_nows[at] AND mine.unknown_attempts = 0
            AND mine.size > mine.excluded
            AND NOT EXISTS (
                SELECT FROM vavasms.recipient AS each JOIN vavasms.opt_out ON opt_out.phone = each.phone
                WHERE each.campaign = mine.campaign AND each.batch = mine.number AND each.exclusion IS NULL
            )
        RETURNING mine.token, mine.message, mine.segments, mine.attempt, ARRAY(
            SELECT each.phone FROM vavasms.recipient AS each
            WHERE each.campaign = mine.campaign AND each.batch = mine.number AND each.exclusion IS NULL
            ORDER BY each.position
        );
    END LOOP;
END;
$$;

-- The attempts before the one that was taken stay counted: nobody knows what became of them.
CREATE OR REPLACE FUNCTION vavasms.accept_batches(
    p_id TEXT, p_numbers INTEGER[], p_tokens TEXT[], p_results TEXT[], p_purged_results TEXT[]
) RETURNS SETOF TEXT
LANGUAGE plpgsql AS $$
DECLARE
    at INTEGER;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1447122497, hashtext(p_id));
    FOR at IN SELECT given.at FROM unnest(p_numbers) WITH ORDINALITY AS given (number, at) ORDER BY given.number LOOP
        RETURN QUERY
        UPDATE vavasms.batch AS mine SET state = 'accepted', not_before = 0,
            result = CASE WHEN its.message = '' THEN p_purged_results[at] ELSE p_results[at] END
        FROM vavasms.campaign AS its
        WHERE its.id = p_id AND mine.campaign = its.seq AND mine.number = p_numbers[at]
            AND mine.token = p_tokens[at] AND mine.state IN ('sending', 'unknown')
        RETURNING mine.token;
    END LOOP;
END;
$$;
