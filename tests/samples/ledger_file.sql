PRAGMA application_id = 1447122497;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE addressee (
    phone INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    PRIMARY KEY (phone, campaign)
) WITHOUT ROWID;
INSERT INTO "addressee" VALUES(2250700000100,1,0);
INSERT INTO "addressee" VALUES(2250700000101,1,1);
INSERT INTO "addressee" VALUES(2250700000102,1,2);
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
INSERT INTO "batch" VALUES(1,0,'accepted',1,1,0,1,'t0','w',50.0,0.0,0,NULL,NULL,'Bonjour','{"lot":"LOT","ids":["SM"]}');
INSERT INTO "batch" VALUES(1,1,'unknown',1,1,0,1,'t1','w',50.0,0.0,0,NULL,NULL,'Bonjour','{}');
INSERT INTO "batch" VALUES(1,2,'queued',1,1,0,0,NULL,'w',50.0,0.0,1,NULL,NULL,'Bonjour',NULL);
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
, revision INTEGER NOT NULL DEFAULT 0);
INSERT INTO "campaign" VALUES(1,'c','paused','interrupted','ops','ACME','Bonjour','{}','{}','h',10.0,NULL,NULL,0,1);
CREATE TABLE delivery (
    campaign INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    raw_status TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (campaign, message_id)
) WITHOUT ROWID;
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Counts the openings by a runner; the nonces tell two copies that were both opened.
    generation INTEGER NOT NULL DEFAULT 0,
    nonce TEXT NOT NULL DEFAULT '',
    previous TEXT NOT NULL DEFAULT '',
    in_use INTEGER NOT NULL DEFAULT 0,
    -- Of the file that is in use: a copy has another.
    inode INTEGER NOT NULL DEFAULT 0,
    -- Written with every commit, so that every log has this row.
    commits INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "identity" VALUES(1,0,'','',0,0,12);
CREATE TABLE opt_out (
    phone INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE rate (
    account TEXT PRIMARY KEY,
    tat REAL NOT NULL
, at REAL NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE recipient (
    campaign INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    phone INTEGER NOT NULL,
    exclusion TEXT,
    PRIMARY KEY (campaign, batch, position)
) WITHOUT ROWID;
INSERT INTO "recipient" VALUES(1,0,0,2250700000100,NULL);
INSERT INTO "recipient" VALUES(1,1,0,2250700000101,NULL);
INSERT INTO "recipient" VALUES(1,2,0,2250700000102,NULL);
CREATE INDEX campaign_plan ON campaign (account, plan_hash);
CREATE INDEX batch_progress ON batch (campaign, state, number, size, excluded, segments, not_before, unknown_attempts);
COMMIT;
