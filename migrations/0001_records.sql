-- The record store. SQLite and PostgreSQL read the same text: BIGINT and TEXT only, times in Unix
-- milliseconds, JSON as text. Ids are UUIDv7, so sorting by id sorts by time.

-- One row per call, however often the platform delivered it.
CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    -- Identifies the delivery: hashes of the call id and the source, or of the parties and the
    -- time.
    dedup_key TEXT NOT NULL UNIQUE,
    -- Start of the time bucket. Buckets do not overlap in `at_ms`, and all rows of one bucket are
    -- next to each other in the indexes below.
    bucket BIGINT NOT NULL,
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
    -- All other fields of the record, a JSON object.
    details TEXT NOT NULL
);
-- A party can be longer than an index entry, so the index holds its first 64 characters.
CREATE INDEX calls_from_party ON calls (bucket, substr(from_party, 1, 64));
CREATE INDEX calls_to_party ON calls (bucket, substr(to_party, 1, 64));
-- Covers the counts by quarter of an hour, outcome and rule.
CREATE INDEX calls_counts ON calls ((at_ms / 900000), outcome, rule, at_ms);

-- One row per event, however often the platform delivered it.
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    -- Identifies the delivery: a hash of source, kind and call id, or of the body.
    dedup_key TEXT NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    platform TEXT NOT NULL,
    kind TEXT NOT NULL,
    call_id TEXT,
    -- The id of the call in `calls`, if the call is known.
    call TEXT,
    sent_ms BIGINT,
    attempts BIGINT NOT NULL,
    -- The fields that Switchboard reads from the body, a JSON object.
    details TEXT NOT NULL,
    -- The body as received; numbers are masked where records do not store them in full.
    body TEXT NOT NULL
);
CREATE INDEX events_call ON events (call);
CREATE INDEX events_call_id ON events (substr(call_id, 1, 64));

-- The rule tables that decided calls, to explain a decision after the rules have changed.
CREATE TABLE rule_snapshots (
    fingerprint TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- Path and text of each file, a JSON object.
    files TEXT NOT NULL
);

-- Changes of the rule files by people: in the console, or with `rules restore`.
CREATE TABLE rule_changes (
    id TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- User of the console, or of the operating system.
    who TEXT NOT NULL,
    -- `apply` or `restore`.
    action TEXT NOT NULL,
    note TEXT NOT NULL,
    -- Fingerprints of the rule tables before and after the change.
    old_fingerprint TEXT NOT NULL,
    new_fingerprint TEXT NOT NULL
);
