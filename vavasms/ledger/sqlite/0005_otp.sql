-- One-time codes: one row for each that was sent, or tried, of the last day.
CREATE TABLE otp_event (
    seq INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    -- `code` or `guess`.
    kind TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    phone INTEGER NOT NULL,
    -- The number without its last two digits.
    number_range INTEGER NOT NULL,
    client TEXT,
    segments INTEGER NOT NULL,
    at REAL NOT NULL,
    -- 1: the gateway refused it, so that the code before it is still the one to be tried.
    rejected INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX otp_event_phone ON otp_event (account, phone, kind, at);
CREATE INDEX otp_event_range ON otp_event (account, number_range, at) WHERE kind = 'code';
CREATE INDEX otp_event_client ON otp_event (account, client, at) WHERE kind = 'code' AND client IS NOT NULL;
-- With all that the segments of a day are added up from.
CREATE INDEX otp_event_segments ON otp_event (account, kind, at, segments);
CREATE INDEX otp_event_at ON otp_event (at);
