-- A role per process. Run as the owner of the database, once before and again after every `trellis operator migrate`:
--   psql -v ON_ERROR_STOP=1 -f deploy/roles.sql trellis
-- Running it again changes nothing. Passwords or certificates are yours to add: ALTER ROLE trellis_server PASSWORD ...
--
-- Two things no process may do, whatever is wrong with it: take back a charge of the privacy ledger, or an entry of the log.
-- And only the server knows sessions; only the worker commits the log; the mailer sees neither, nor any count.

DO $$
DECLARE
    process text;
    known text;
    -- What people sign in with.
    doors text[] := ARRAY['browser_keys', 'sign_ins', 'sessions', 'spent_tokens'];
    -- What was asked and answered, and what it cost.
    figures text[] := ARRAY['charges', 'memos', 'cells'];
BEGIN
    FOREACH process IN ARRAY ARRAY['trellis_server', 'trellis_worker', 'trellis_mailer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = process) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', process);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), process);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', process);
        EXECUTE format('REVOKE CREATE ON SCHEMA public FROM %I', process);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', process);
    END LOOP;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;

    FOR known IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC, trellis_server, trellis_worker, trellis_mailer', known);
        IF known = 'alembic_version' THEN
            EXECUTE format('GRANT SELECT ON %I TO trellis_server, trellis_worker, trellis_mailer', known);
        ELSIF known = 'charges' THEN
            EXECUTE format('GRANT SELECT, INSERT ON %I TO trellis_server, trellis_worker', known);
        ELSIF known = 'entries' THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO trellis_server, trellis_worker, trellis_mailer', known);
        ELSIF known = 'log_lock' THEN
            EXECUTE format('GRANT SELECT ON %I TO trellis_server', known);
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO trellis_worker', known);
        ELSIF known = ANY (doors) THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO trellis_server', known);
        ELSIF known = ANY (figures) THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO trellis_server, trellis_worker', known);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO trellis_server, trellis_worker, trellis_mailer', known);
        END IF;
    END LOOP;
END
$$;
