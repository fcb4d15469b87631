-- What was answered, and what became of it. Read by SQLite and PostgreSQL alike: BIGINT and TEXT
-- only, times in Unix milliseconds, JSON as text. Ids are UUIDv7: sorted by id is sorted by time.

-- One row for a call, however often it was delivered.
CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    -- What tells this delivery from all others: a hash of source and call id, or of what else there is.
    delivery TEXT NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    platform TEXT NOT NULL,
    channel TEXT NOT NULL,
    call_id TEXT,
    from_party TEXT NOT NULL,
    to_party TEXT NOT NULL,
    outcome TEXT NOT NULL,
    rule TEXT,
    agent TEXT,
    fingerprint TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- The rest of the record, a JSON object.
    details TEXT NOT NULL
);
-- What comes from outside may be longer than an index takes: its begin has to do.
CREATE INDEX calls_from_party ON calls (substr(from_party, 1, 64), at_ms);
CREATE INDEX calls_call_id ON calls (substr(call_id, 1, 64));

-- One row for an event, however often it was delivered.
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    -- What tells this event from all others: a hash of source, kind and call id, or of the body.
    delivery TEXT NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    platform TEXT NOT NULL,
    kind TEXT NOT NULL,
    call_id TEXT,
    -- The id of the call in `calls`, when it is known.
    call TEXT,
    sent_ms BIGINT,
    attempts BIGINT NOT NULL,
    -- The useful columns of the platform's body, a JSON object.
    details TEXT NOT NULL,
    -- As it came; with numbers masked where records keep no numbers.
    body TEXT NOT NULL
);
CREATE INDEX events_call ON events (call);
CREATE INDEX events_call_id ON events (substr(call_id, 1, 64));

-- The rule tables that answered, so that an answer can be explained when the rules are others.
CREATE TABLE tables (
    fingerprint TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- Path and text of each file, a JSON object.
    files TEXT NOT NULL
);
