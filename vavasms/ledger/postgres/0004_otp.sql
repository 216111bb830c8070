-- One-time codes: one row for each that was sent, or tried, of the last day.
CREATE TABLE vavasms.otp_event (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT NOT NULL,
    -- `code` or `guess`.
    kind TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    phone BIGINT NOT NULL,
    -- The number without its last two digits.
    number_range BIGINT NOT NULL,
    client TEXT,
    segments INTEGER NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    -- The gateway refused it, so that the code before it is still the one to be tried.
    rejected BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX otp_event_phone ON vavasms.otp_event (account, phone, kind, at);
CREATE INDEX otp_event_range ON vavasms.otp_event (account, number_range, at) WHERE kind = 'code';
CREATE INDEX otp_event_client ON vavasms.otp_event (account, client, at) WHERE kind = 'code' AND client IS NOT NULL;
-- With all that the segments of a day are added up from.
CREATE INDEX otp_event_segments ON vavasms.otp_event (account, kind, at) INCLUDE (segments);
CREATE INDEX otp_event_at ON vavasms.otp_event (at);
