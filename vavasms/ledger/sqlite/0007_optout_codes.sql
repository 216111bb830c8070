-- The code of each number's opt-out link. It outlives the campaigns whose texts hold it: a link works for good.
CREATE TABLE opt_out_code (
    phone INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    -- The one campaign whose texts hold it, which takes it along where it is discarded; NULL once others' may.
    campaign INTEGER
);
