-- The ids of inbound SMS. `owner` and `until` are set while one is being handled, and NULL once it is.
-- Neither number nor text is here: `digest` tells only whether a copy says the same.
CREATE TABLE seen (
    message_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    owner TEXT,
    until REAL,
    at REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX seen_at ON seen (at);
