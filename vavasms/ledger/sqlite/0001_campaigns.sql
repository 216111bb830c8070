CREATE TABLE campaign (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    reason TEXT,
    account TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    message TEXT NOT NULL,
    policy TEXT NOT NULL,
    plan TEXT NOT NULL DEFAULT '{}',
    plan_hash TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    max_segments INTEGER,
    daily_cap INTEGER,
    -- Segments of what is sending, accepted or unknown, and of every earlier attempt that was unknown when it
    -- was sent again; kept where there is a budget only.
    committed INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX campaign_plan ON campaign (account, plan_hash);

CREATE TABLE batch (
    campaign INTEGER NOT NULL REFERENCES campaign (seq),
    number INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    segments INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- Of those, how many were left out at a claim: opted out, or over the daily cap.
    excluded INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    token TEXT,
    worker TEXT,
    sending_at REAL,
    not_before REAL NOT NULL DEFAULT 0,
    -- Attempts before the latest of which nobody knows whether they went out: a person had it sent again.
    unknown_attempts INTEGER NOT NULL DEFAULT 0,
    balance_before TEXT,
    balance_after TEXT,
    message TEXT NOT NULL,
    -- What the gateway answered, as one JSON value.
    result TEXT,
    PRIMARY KEY (campaign, number)
);

-- Covers the counting of a campaign and the search for what is queued: neither reads texts and results.
CREATE INDEX batch_progress ON batch (campaign, state, number, size, excluded, segments, not_before, unknown_attempts);

-- Narrow and written once: a row is touched again only where its recipient is left out.
CREATE TABLE recipient (
    campaign INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    phone INTEGER NOT NULL,
    exclusion TEXT,
    PRIMARY KEY (campaign, batch, position)
) WITHOUT ROWID;

-- One message per number and campaign; and the look-up of a number over all campaigns. No index: filled in the
-- order of the numbers once a campaign is whole, which takes a tenth of the time of a million random places.
CREATE TABLE addressee (
    phone INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    PRIMARY KEY (phone, campaign)
) WITHOUT ROWID;

CREATE TABLE delivery (
    campaign INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    raw_status TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (campaign, message_id)
) WITHOUT ROWID;

-- The theoretical arrival time (GCRA): when the next message of the account may leave.
CREATE TABLE rate (
    account TEXT PRIMARY KEY,
    tat REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE opt_out (
    phone INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at REAL NOT NULL
);
