-- Counts the starts after a pause: limits change while a campaign waits, so who knows an older number knows others.
ALTER TABLE campaign ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- The latest time that was passed in with a reservation: a clock that was set back shows by it.
ALTER TABLE rate ADD COLUMN at REAL NOT NULL DEFAULT 0;
-- What was reserved before an upgrade is over.
DELETE FROM rate;
