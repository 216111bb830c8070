-- How far procrastinate's own schema is, by the name of its last step.
CREATE TABLE vavasms.jobs_step (
    step TEXT PRIMARY KEY,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE vavasms.campaign (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    reason TEXT,
    account TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    message TEXT NOT NULL,
    policy TEXT NOT NULL,
    plan TEXT NOT NULL DEFAULT '{}',
    plan_hash TEXT NOT NULL DEFAULT '',
    created_at DOUBLE PRECISION NOT NULL,
    max_segments BIGINT,
    daily_cap INTEGER,
    -- Segments of what is sending, accepted or unknown, and of doubtful attempts before; kept where there is a
    -- budget only.
    committed BIGINT NOT NULL DEFAULT 0,
    -- When somebody last looked for its batches that have no job.
    looked_at DOUBLE PRECISION NOT NULL DEFAULT 0
);

CREATE INDEX campaign_plan ON vavasms.campaign (account, plan_hash);

CREATE TABLE vavasms.batch (
    campaign BIGINT NOT NULL REFERENCES vavasms.campaign (seq),
    number INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    segments INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- Of those, how many were left out at a claim: opted out, or over the daily cap.
    excluded INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Attempts before the present one that may have been sent, and paid: a person had it queued again.
    unknown_attempts INTEGER NOT NULL DEFAULT 0,
    token TEXT,
    worker TEXT,
    sending_at DOUBLE PRECISION,
    not_before DOUBLE PRECISION NOT NULL DEFAULT 0,
    balance_before TEXT,
    balance_after TEXT,
    message TEXT NOT NULL,
    -- What the gateway answered, as one JSON value. No jsonb: it takes no NUL, and a gateway may say anything.
    result TEXT,
    PRIMARY KEY (campaign, number)
);

-- Small, and smaller with each batch that is done: what can be claimed, what is under way, what to decide on.
CREATE INDEX batch_queued ON vavasms.batch (campaign, number) WHERE state = 'queued';
CREATE INDEX batch_sending ON vavasms.batch (sending_at) WHERE state = 'sending';
CREATE INDEX batch_unknown ON vavasms.batch (campaign, number) WHERE state = 'unknown';

-- Narrow and written once: a row is touched again only where its recipient is left out.
CREATE TABLE vavasms.recipient (
    campaign BIGINT NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    phone BIGINT NOT NULL,
    exclusion TEXT,
    PRIMARY KEY (campaign, batch, position)
);

-- One message per number and campaign; and the look-up of a number over all campaigns. Filled in the order of
-- the numbers once a campaign is whole.
CREATE TABLE vavasms.addressee (
    phone BIGINT NOT NULL,
    campaign BIGINT NOT NULL,
    batch INTEGER NOT NULL,
    PRIMARY KEY (phone, campaign)
);

CREATE TABLE vavasms.delivery (
    campaign BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    raw_status TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (campaign, message_id)
);

-- The theoretical arrival time (GCRA): when the next message of the account may leave. One row that is written
-- again and again: room on its page keeps it there.
CREATE TABLE vavasms.rate (
    account TEXT PRIMARY KEY,
    tat DOUBLE PRECISION NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE vavasms.opt_out (
    phone BIGINT PRIMARY KEY,
    source TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL
);
