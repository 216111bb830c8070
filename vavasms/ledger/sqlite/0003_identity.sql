-- Which of several copies a file is, and whether its log is needed beside it: one row.
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

INSERT INTO identity (one) VALUES (1);
