-- The journal of interventions (C10) and monitoring's memory in PostgreSQL (13 or newer), for several controllers:
-- docs/journal.md. Applied once by the owner of the database, and again after an update of the collection:
--
--     psql -v ON_ERROR_STOP=1 --single-transaction -d prosecours -f journal.sql
--     psql -d prosecours -c 'CREATE ROLE martin LOGIN; GRANT prosecours_writer TO martin'
--
-- Whoever writes may insert and read, and nothing else: what is in a table stays as it is, whatever is done with his login.
-- The database numbers the lines, and notes by its own clock and logins when each came and from whom.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prosecours_writer') THEN
        CREATE ROLE prosecours_writer NOLOGIN;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS prosecours;

-- A line is bytes: the hashes are over bytes, and what a killed writer left in a file is no text.
CREATE TABLE IF NOT EXISTS prosecours.journal (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stored_by name NOT NULL DEFAULT session_user
);
CREATE TABLE IF NOT EXISTS prosecours.journal_heads (LIKE prosecours.journal INCLUDING ALL);
CREATE TABLE IF NOT EXISTS prosecours.journal_stamps (LIKE prosecours.journal INCLUDING ALL);
CREATE TABLE IF NOT EXISTS prosecours.monitoring_memory (LIKE prosecours.journal INCLUDING ALL);

REVOKE ALL ON SCHEMA prosecours FROM PUBLIC, prosecours_writer;
REVOKE ALL ON ALL TABLES IN SCHEMA prosecours FROM PUBLIC, prosecours_writer;
GRANT USAGE ON SCHEMA prosecours TO prosecours_writer;
-- Of the columns only the line: neither its place nor its time is the writer's to say.
GRANT SELECT, INSERT (line) ON ALL TABLES IN SCHEMA prosecours TO prosecours_writer;
