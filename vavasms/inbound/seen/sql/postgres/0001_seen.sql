-- The ids of inbound SMS. `owner` and `until` are set while one is being handled, and NULL once it is.
-- Neither number nor text is here: `digest` tells only whether a copy says the same.
CREATE TABLE vavasms_inbound.seen (
    message_id TEXT PRIMARY KEY,
    digest BYTEA NOT NULL,
    owner TEXT,
    until TIMESTAMPTZ,
    at TIMESTAMPTZ NOT NULL
);

CREATE INDEX seen_at ON vavasms_inbound.seen (at);
