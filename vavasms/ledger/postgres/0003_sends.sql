-- Single sends: one row for each key of an account. The states are those of a batch.
CREATE TABLE vavasms.send (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'otp')),
    state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'accepted', 'rejected', 'unknown', 'cancelled')),
    recipients TEXT NOT NULL,
    size INTEGER NOT NULL,
    sender_id TEXT,
    -- 0: whoever sends it counts them.
    segments INTEGER NOT NULL,
    -- Kept until it is accepted or rejected where a worker sends it, beyond that where it is to be.
    message TEXT,
    keeps_text BOOLEAN NOT NULL DEFAULT FALSE,
    -- What the gateway answered, as one JSON value.
    result TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- A worker sends it; else whoever calls.
    enqueued BOOLEAN NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    sending_at DOUBLE PRECISION,
    settled_at DOUBLE PRECISION,
    not_before DOUBLE PRECISION NOT NULL DEFAULT 0,
    worker TEXT,
    token TEXT,
    -- Of what two calls with one key must have in common.
    salt BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    -- Whether somebody was told of the outcome of what is enqueued.
    told BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (account, key)
);

-- Of what waits or is under way, and of outcomes of which nobody was told: there is little of it.
CREATE INDEX send_queued ON vavasms.send (account, not_before, seq) WHERE state = 'queued';
CREATE INDEX send_sending ON vavasms.send (sending_at) WHERE state = 'sending';
CREATE INDEX send_untold ON vavasms.send (account) WHERE enqueued AND NOT told AND settled_at IS NOT NULL;
CREATE INDEX send_created ON vavasms.send (created_at);
CREATE INDEX send_settled ON vavasms.send (settled_at) WHERE settled_at IS NOT NULL;

-- The accounts whose workers serve this ledger.
CREATE TABLE vavasms.served_account (
    account TEXT PRIMARY KEY,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Enqueues an SMS in the caller's own transaction: it is sent if that commits, and never if it is rolled back. Returns
-- the number of the row. A second call with the key returns the first one's, and begins anew what came to nothing.
-- `recipient` is in the international form, +2250700000001; without `sender_id` it is that of the worker.
CREATE FUNCTION vavasms.enqueue(
    key TEXT, recipient TEXT, message TEXT, sender_id TEXT DEFAULT NULL, not_before TIMESTAMPTZ DEFAULT NULL,
    account TEXT DEFAULT NULL
) RETURNS BIGINT
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    p_account TEXT := enqueue.account;
    p_phone TEXT := translate(enqueue.recipient, ' +-.()', '');
    p_sender TEXT := nullif(enqueue.sender_id, '');
    p_due DOUBLE PRECISION := coalesce(extract(epoch FROM enqueue.not_before), 0);
    p_salt BYTEA := uuid_send(gen_random_uuid());
    p_content BYTEA;
    mine vavasms.send%ROWTYPE;
    served INTEGER;
BEGIN
    IF p_account IS NULL THEN
        SELECT count(*), min(served_account.account) INTO served, p_account FROM vavasms.served_account;
        IF served <> 1 THEN
            RAISE EXCEPTION 'vavasms.enqueue: % accounts are served by this ledger: name one. Nothing was enqueued.', served
                USING ERRCODE = '22023';
        END IF;
    END IF;
    IF enqueue.key IS NULL OR length(enqueue.key) NOT BETWEEN 1 AND 255
        OR enqueue.key ~ '[[:cntrl:]\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]'
    THEN
        RAISE EXCEPTION 'vavasms.enqueue: the key is a text of 1 to 255 printable characters. Nothing was enqueued.'
            USING ERRCODE = '22023';
    END IF;
    p_phone := regexp_replace(p_phone, '^00', '');
    IF p_phone IS NULL OR p_phone !~ '^[1-9][0-9]{7,14}$' OR (p_phone ~ '^225' AND p_phone !~ '^225(01|05|07)[0-9]{8}$')
        OR (p_phone ~ '^229' AND p_phone !~ '^22901[0-9]{8}$')
    THEN
        RAISE EXCEPTION 'vavasms.enqueue: the recipient is no mobile number in the form +2250700000001. Nothing was enqueued.'
            USING ERRCODE = '22023';
    END IF;
    IF enqueue.message IS NULL OR enqueue.message !~ '[^[:space:]]' OR length(enqueue.message) > 39015
        OR translate(enqueue.message, E'\t\r\n', '') ~ '[[:cntrl:]]'
    THEN
        RAISE EXCEPTION 'vavasms.enqueue: the message is empty, longer than 255 segments, or holds control characters. Nothing was enqueued.'
            USING ERRCODE = '22023';
    END IF;
    IF p_sender !~ '^[!-~][ -~]{1,9}[!-~]$' THEN
        RAISE EXCEPTION 'vavasms.enqueue: a sender ID has 3 to 11 printable ASCII characters. Nothing was enqueued.'
            USING ERRCODE = '22023';
    END IF;
    IF NOT isfinite(coalesce(enqueue.not_before, now())) THEN
        RAISE EXCEPTION 'vavasms.enqueue: not_before is a time. Nothing was enqueued.' USING ERRCODE = '22023';
    END IF;
    p_content := convert_to(
        'text' || E'\n' || coalesce(p_sender, '') || E'\n' || p_phone || E'\n' || enqueue.message, 'UTF8'
    );
    LOOP
        INSERT INTO vavasms.send (account, key, kind, state, recipients, size, sender_id, segments, message, enqueued,
            created_at, not_before, salt, digest)
        VALUES (p_account, enqueue.key, 'text', 'queued', p_phone, 1, p_sender, 0, enqueue.message, TRUE,
            extract(epoch FROM clock_timestamp()), p_due, p_salt, sha256(p_salt || p_content))
        ON CONFLICT (account, key) DO NOTHING RETURNING * INTO mine;
        EXIT WHEN FOUND;
        SELECT * INTO mine FROM vavasms.send
        WHERE send.account = p_account AND send.key = enqueue.key FOR UPDATE;
        -- It may have been purged in between.
        CONTINUE WHEN NOT FOUND;
        IF mine.state IN ('rejected', 'cancelled') THEN
            UPDATE vavasms.send SET kind = 'text', state = 'queued', recipients = p_phone, size = 1, sender_id = p_sender,
                segments = 0, message = enqueue.message, keeps_text = FALSE, result = NULL, attempt = 0, enqueued = TRUE,
                sending_at = NULL, settled_at = NULL, not_before = p_due, worker = NULL, token = NULL, salt = p_salt,
                digest = sha256(p_salt || p_content), told = FALSE
            WHERE send.seq = mine.seq;
        ELSIF mine.digest <> sha256(mine.salt || p_content) THEN
            RAISE EXCEPTION 'vavasms.enqueue: this key stands for another text, sender or recipient. Nothing was enqueued.'
                USING ERRCODE = '23505', DETAIL = 'first used at ' || mine.created_at;
        END IF;
        EXIT;
    END LOOP;
    RETURN mine.seq;
END;
$$;
