-- The cells of the list that a campaign keeps with each recipient, as a JSON list; its plan names the columns.
ALTER TABLE vavasms.recipient ADD COLUMN kept TEXT;

-- The campaign whose recipients are sent to once more, where it is one of those.
ALTER TABLE vavasms.campaign ADD COLUMN retry_of TEXT;
CREATE INDEX campaign_retry ON vavasms.campaign (retry_of) WHERE retry_of IS NOT NULL;

-- Why nobody asks for its delivery reports any more; NULL while somebody may.
ALTER TABLE vavasms.campaign ADD COLUMN tracked TEXT;

-- The first digits of the number that the message was for; empty where ids and numbers cannot be paired.
ALTER TABLE vavasms.delivery ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
