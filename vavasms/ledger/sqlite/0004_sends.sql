-- Single sends: one row for each key of an account. The states are those of a batch.
CREATE TABLE send (
    seq INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    -- `text` or `otp`.
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    recipients TEXT NOT NULL,
    size INTEGER NOT NULL,
    sender_id TEXT,
    segments INTEGER NOT NULL,
    -- Kept until it is accepted or rejected where a worker sends it, beyond that where it is to be.
    message TEXT,
    keeps_text INTEGER NOT NULL DEFAULT 0,
    -- What the gateway answered, as one JSON value.
    result TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- 1: a worker sends it; 0: whoever calls.
    enqueued INTEGER NOT NULL,
    created_at REAL NOT NULL,
    sending_at REAL,
    settled_at REAL,
    not_before REAL NOT NULL DEFAULT 0,
    worker TEXT,
    token TEXT,
    -- Of what two calls with one key must have in common.
    salt BLOB NOT NULL,
    digest BLOB NOT NULL,
    -- Whether somebody was told of the outcome of what is enqueued.
    told INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, key)
);

-- Of what waits or is under way, and of outcomes of which nobody was told: there is little of it.
CREATE INDEX send_queued ON send (account, not_before, seq) WHERE state = 'queued';
CREATE INDEX send_sending ON send (sending_at) WHERE state = 'sending';
CREATE INDEX send_untold ON send (account) WHERE enqueued = 1 AND told = 0 AND settled_at IS NOT NULL;
CREATE INDEX send_created ON send (created_at);
CREATE INDEX send_settled ON send (settled_at) WHERE settled_at IS NOT NULL;
