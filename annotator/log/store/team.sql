-- A team's log: one schema holds one project. {s} is the quoted name of the schema.
-- Members have SELECT and EXECUTE, and nothing else: all is written by the functions below, which
-- run with the rights of the schema's owner and check who calls them.
CREATE SCHEMA {s};
CREATE TABLE {s}.project (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL,
    uid uuid NOT NULL DEFAULT gen_random_uuid(), made timestamptz NOT NULL DEFAULT now()
);
INSERT INTO {s}.project (format) VALUES (1);
CREATE TABLE {s}.file (name text PRIMARY KEY, content bytea NOT NULL);
CREATE TABLE {s}.member (
    annotator text PRIMARY KEY, login name NOT NULL, since timestamptz NOT NULL DEFAULT now(),
    role text NOT NULL CHECK (role IN ('observer', 'annotator', 'reviewer', 'admin')),
    ended timestamptz
);
CREATE UNIQUE INDEX one_login_each ON {s}.member (login) WHERE ended IS NULL;
CREATE TABLE {s}.log (
    seq bigint PRIMARY KEY, id uuid NOT NULL UNIQUE, at float8 NOT NULL, annotator text NOT NULL,
    action text NOT NULL, ref text NOT NULL, label text, proba text, model text, picked_by text,
    q float8, pool bigint, shown_ms bigint, note text, extra text,
    login name NOT NULL, arrived timestamptz NOT NULL
);
-- Not logged: after a crash of the server no screen shows anything any more.
CREATE UNLOGGED TABLE {s}.lease (
    ref text PRIMARY KEY, holder text NOT NULL, annotator text NOT NULL, login name NOT NULL,
    since timestamptz NOT NULL, until timestamptz NOT NULL, place int NOT NULL
);
CREATE INDEX lease_of_holder ON {s}.lease (holder);

CREATE FUNCTION {s}.me() RETURNS {s}.member LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {s}, pg_temp AS $$
DECLARE found_member {s}.member;
BEGIN
    SELECT * INTO found_member FROM member m WHERE m.login = session_user AND m.ended IS NULL;
    IF found_member.annotator IS NULL THEN
        RAISE EXCEPTION 'the login % is not a member', session_user USING ERRCODE = '42501';
    END IF;
    RETURN found_member;
END $$;

CREATE FUNCTION {s}.check_rows(_rows json) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {s}, pg_temp AS $$
DECLARE self {s}.member := me();
BEGIN
    IF self.role = 'observer' THEN
        RAISE EXCEPTION '% may look, and not label', self.annotator USING ERRCODE = '42501';
    ELSIF self.role = 'admin' THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT 1 FROM json_array_elements(_rows) r WHERE r->>'annotator' <> self.annotator)
    THEN
        RAISE EXCEPTION 'the login % labels as %, not as another', session_user, self.annotator
            USING ERRCODE = '42501';
    END IF;
    IF EXISTS (
        SELECT 1 FROM json_array_elements(_rows) r WHERE r->>'picked_by' = 'import'
        OR coalesce((r->>'extra')::json->>'machine', 'false') NOT IN ('false', '0', '')
    ) THEN
        RAISE EXCEPTION 'only an admin imports labels, or writes those of a model'
            USING ERRCODE = '42501';
    END IF;
    IF self.role = 'annotator' AND EXISTS (
        SELECT 1 FROM json_array_elements(_rows) r JOIN log l
        ON l.seq = ((r->>'extra')::json->>'undoes')::bigint
        WHERE r->>'action' = 'undo' AND l.annotator <> self.annotator
    ) THEN
        RAISE EXCEPTION '% may not take back what others decided', self.annotator
            USING ERRCODE = '42501';
    END IF;
END $$;

-- The only way to write the log. The lock is held to the end of this one statement: no round trip
-- lies in it. Without it, a reader that asks for rows after the last one would miss rows.
CREATE FUNCTION {s}.append(_rows json) RETURNS TABLE (o_id uuid, o_seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {s}, pg_temp SET lock_timeout = '20s' AS $$
DECLARE base bigint; ids uuid[]; known uuid[];
BEGIN
    PERFORM check_rows(_rows);
    ids := ARRAY(SELECT (r->>'id')::uuid FROM json_array_elements(_rows) r);
    PERFORM pg_advisory_xact_lock('{s}.log'::regclass::oid::bigint);
    SELECT coalesce(max(l.seq), 0) INTO base FROM log l;
    known := ARRAY(SELECT l.id FROM log l WHERE l.id = ANY (ids));
    INSERT INTO log (
        seq, id, at, annotator, action, ref, label, proba, model, picked_by, q, pool, shown_ms,
        note, extra, login, arrived
    )
    SELECT base + row_number() OVER (ORDER BY n), (r->>'id')::uuid, (r->>'at')::float8,
        r->>'annotator', r->>'action', r->>'ref', r->>'label', r->>'proba', r->>'model',
        r->>'picked_by', (r->>'q')::float8, (r->>'pool')::bigint, (r->>'shown_ms')::bigint,
        r->>'note', r->>'extra', session_user, clock_timestamp()
    FROM json_array_elements(_rows) WITH ORDINALITY AS e (r, n)
    WHERE NOT (r->>'id')::uuid = ANY (known);
    RETURN QUERY SELECT l.id, l.seq FROM log l WHERE l.id = ANY (ids) ORDER BY l.seq;
END $$;

-- Leases by the clock of the server. One at a time: two that hold the same items would wait for
-- each other in a ring. Nothing is synced to the disk, so it takes microseconds.
CREATE FUNCTION {s}.hold(_refs text[], _holder text, _seconds float8) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {s}, pg_temp SET lock_timeout = '20s' AS $$
DECLARE self {s}.member := me();
BEGIN
    IF self.role = 'observer' THEN
        RAISE EXCEPTION '% may look, and not label', self.annotator USING ERRCODE = '42501';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock('{s}.lease'::regclass::oid::bigint);
    DELETE FROM lease l WHERE (l.holder = _holder AND l.login = session_user
        AND NOT l.ref = ANY (_refs)) OR l.until < clock_timestamp() - interval '1 day';
    RETURN QUERY INSERT INTO lease AS l (ref, holder, annotator, login, since, until, place)
        SELECT r, _holder, self.annotator, session_user, clock_timestamp(),
            clock_timestamp() + make_interval(secs => least(_seconds, 86400)), n
        FROM unnest(_refs) WITH ORDINALITY AS e (r, n) ORDER BY r
        ON CONFLICT (ref) DO UPDATE SET holder = excluded.holder, login = excluded.login,
            annotator = excluded.annotator, until = excluded.until, place = excluded.place,
            since = CASE WHEN l.holder = excluded.holder THEN l.since ELSE excluded.since END
        WHERE l.until <= clock_timestamp()
            OR (l.holder = excluded.holder AND l.login = excluded.login)
        RETURNING l.ref;
END $$;

CREATE FUNCTION {s}.let_go(_holder text) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = {s}, pg_temp AS
$$ DELETE FROM lease WHERE holder = _holder AND login = session_user $$;

CREATE FUNCTION {s}.require_admin() RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {s}, pg_temp AS $$
DECLARE self {s}.member := me();
BEGIN
    IF self.role <> 'admin' THEN
        RAISE EXCEPTION '% is not an admin', self.annotator USING ERRCODE = '42501';
    END IF;
END $$;

CREATE FUNCTION {s}.write_file(_name text, _content bytea) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = {s}, pg_temp AS $$
BEGIN
    PERFORM require_admin();
    INSERT INTO file VALUES (_name, _content)
        ON CONFLICT (name) DO UPDATE SET content = excluded.content;
END $$;

CREATE FUNCTION {s}.add_member(_annotator text, _login name, _role text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {s}, pg_temp AS $$
BEGIN
    PERFORM require_admin();
    IF EXISTS (SELECT 1 FROM member m WHERE m.annotator = _annotator AND m.login <> _login
        AND m.ended IS NULL) THEN
        RAISE EXCEPTION '% is a member with another login', _annotator USING ERRCODE = '23505';
    END IF;
    INSERT INTO member (annotator, login, role) VALUES (_annotator, _login, _role)
        ON CONFLICT (annotator) DO UPDATE
        SET login = excluded.login, role = excluded.role, ended = NULL;
    EXECUTE format('GRANT USAGE ON SCHEMA {s} TO %I', _login);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO %I', _login);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} TO %I', _login);
END $$;

CREATE FUNCTION {s}.end_member(_annotator text) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = {s}, pg_temp AS $$
DECLARE left_login name;
BEGIN
    PERFORM require_admin();
    UPDATE member SET ended = now() WHERE annotator = _annotator AND ended IS NULL
        RETURNING login INTO left_login;
    IF left_login IS NULL THEN
        RETURN false;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM member WHERE role = 'admin' AND ended IS NULL) THEN
        RAISE EXCEPTION '% is the last admin: make another one first', _annotator
            USING ERRCODE = '42501';
    END IF;
    IF left_login <> current_user THEN  -- the functions run with the rights of their owner
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA {s} FROM %I', left_login);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {s} FROM %I', left_login);
        EXECUTE format('REVOKE ALL ON SCHEMA {s} FROM %I', left_login);
    END IF;
    RETURN true;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA {s} FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {s} FROM PUBLIC;
