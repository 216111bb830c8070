SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA vavasms;
CREATE SCHEMA vavasms_jobs;
CREATE TYPE vavasms_jobs.procrastinate_job_event_type AS ENUM (
    'deferred',
    'started',
    'deferred_for_retry',
    'failed',
    'succeeded',
    'cancelled',
    'abort_requested',
    'aborted',
    'scheduled',
    'retried'
);
CREATE TYPE vavasms_jobs.procrastinate_job_status AS ENUM (
    'todo',
    'doing',
    'succeeded',
    'failed',
    'cancelled',
    'aborting',
    'aborted'
);
CREATE TYPE vavasms_jobs.procrastinate_job_to_defer_v1 AS (
	queue_name character varying,
	task_name character varying,
	priority integer,
	lock text,
	queueing_lock text,
	args jsonb,
	scheduled_at timestamp with time zone
);
CREATE FUNCTION vavasms.accept_batches(p_id text, p_numbers integer[], p_tokens text[], p_results text[], p_purged_results text[]) RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    at INTEGER;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1447122497, hashtext(p_id));
    FOR at IN SELECT given.at FROM unnest(p_numbers) WITH ORDINALITY AS given (number, at) ORDER BY given.number LOOP
        RETURN QUERY
        UPDATE vavasms.batch AS mine SET state = 'accepted', not_before = 0,
            result = CASE WHEN its.message = '' THEN p_purged_results[at] ELSE p_results[at] END
        FROM vavasms.campaign AS its
        WHERE its.id = p_id AND mine.campaign = its.seq AND mine.number = p_numbers[at]
            AND mine.token = p_tokens[at] AND mine.state IN ('sending', 'unknown')
        RETURNING mine.token;
    END LOOP;
END;
$$;
CREATE FUNCTION vavasms.claim_plainly(p_id text, p_numbers integer[], p_tokens text[], p_workers text[], p_nows double precision[], p_balances text[], p_revisions integer[]) RETURNS TABLE(token text, message text, segments integer, attempt integer, phones bigint[])
    LANGUAGE plpgsql
    AS $$
DECLARE
    at INTEGER;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1447122497, hashtext(p_id));
    FOR at IN SELECT given.at FROM unnest(p_numbers) WITH ORDINALITY AS given (number, at) ORDER BY given.number LOOP
        RETURN QUERY
        UPDATE vavasms.batch AS mine SET state = 'sending', token = p_tokens[at], worker = p_workers[at],
            sending_at = p_nows[at], attempt = mine.attempt + 1, balance_before = p_balances[at],
            balance_after = NULL, result = NULL
        FROM vavasms.campaign AS its
        WHERE its.id = p_id AND its.state = 'running' AND its.max_segments IS NULL AND its.daily_cap IS NULL
            AND its.revision = coalesce(p_revisions[at], its.revision)
            AND mine.campaign = its.seq AND mine.number = p_numbers[at]
            AND mine.state = 'queued' AND mine.not_before <= p_nows[at] AND mine.unknown_attempts = 0
            AND mine.size > mine.excluded
            AND NOT EXISTS (
                SELECT FROM vavasms.recipient AS each JOIN vavasms.opt_out ON opt_out.phone = each.phone
                WHERE each.campaign = mine.campaign AND each.batch = mine.number AND each.exclusion IS NULL
            )
        RETURNING mine.token, mine.message, mine.segments, mine.attempt, ARRAY(
            SELECT each.phone FROM vavasms.recipient AS each
            WHERE each.campaign = mine.campaign AND each.batch = mine.number AND each.exclusion IS NULL
            ORDER BY each.position
        );
    END LOOP;
END;
$$;
CREATE FUNCTION vavasms.hold_rate(p_account text, p_until double precision, p_now double precision, p_skew double precision) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM vavasms.reserve(p_account, 0, p_now, p_skew, 0);
    UPDATE vavasms.rate SET tat = greatest(tat, p_until) WHERE account = p_account;
END;
$$;
CREATE FUNCTION vavasms.reserve(p_account text, p_cost double precision, p_now double precision, p_skew double precision, p_ahead double precision) RETURNS double precision
    LANGUAGE plpgsql
    AS $$
DECLARE
    mine vavasms.rate%ROWTYPE;
BEGIN
    INSERT INTO vavasms.rate (account, tat, at) VALUES (p_account, p_now, p_now) ON CONFLICT (account) DO NOTHING;
    SELECT * INTO mine FROM vavasms.rate WHERE account = p_account FOR UPDATE;
    IF p_now < mine.at - p_skew THEN
        mine.tat := mine.tat - (mine.at - p_now);
        mine.at := p_now;
    END IF;
    UPDATE vavasms.rate SET at = greatest(mine.at, p_now),
        tat = CASE WHEN mine.tat - p_now > p_ahead THEN mine.tat ELSE greatest(mine.tat, p_now) + p_cost END
    WHERE account = p_account;
    RETURN greatest(mine.tat - p_now, 0);
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        IF abort THEN
            UPDATE procrastinate_jobs
            SET abort_requested = true,
                status = CASE status
                    WHEN 'todo' THEN 'cancelled'::procrastinate_job_status ELSE status
                END
            WHERE id = job_id AND status IN ('todo', 'doing')
            RETURNING id INTO _job_id;
        ELSE
            UPDATE procrastinate_jobs
            SET status = 'cancelled'::procrastinate_job_status
            WHERE id = job_id AND status = 'todo'
            RETURNING id INTO _job_id;
        END IF;
    END IF;
    RETURN _job_id;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_defer_jobs_v1(jobs vavasms_jobs.procrastinate_job_to_defer_v1[]) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH inserted_jobs AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT (job).queue_name,
               (job).task_name,
               (job).priority,
               (job).lock,
               (job).queueing_lock,
               (job).args,
               (job).scheduled_at
        FROM unnest(jobs) AS job
        RETURNING id
    )
    SELECT array_agg(id) FROM inserted_jobs INTO job_ids;
    RETURN job_ids;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_defer_periodic_job_v2(_queue_name character varying, _lock character varying, _queueing_lock character varying, _task_name character varying, _priority integer, _periodic_id character varying, _defer_timestamp bigint, _args jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
	_job_id bigint;
	_defer_id bigint;
BEGIN
    INSERT
        INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
        VALUES (_task_name, _periodic_id, _defer_timestamp)
        ON CONFLICT DO NOTHING
        RETURNING id into _defer_id;
    IF _defer_id IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE procrastinate_periodic_defers
        SET job_id = (
            SELECT COALESCE((
                SELECT unnest(procrastinate_defer_jobs_v1(
                    ARRAY[
                        ROW(
                            _queue_name,
                            _task_name,
                            _priority,
                            _lock,
                            _queueing_lock,
                            _args,
                            NULL::timestamptz
                        )
                    ]::procrastinate_job_to_defer_v1[]
                ))
            ), NULL)
        )
        WHERE id = _defer_id
        RETURNING job_id INTO _job_id;
    DELETE
        FROM procrastinate_periodic_defers
        USING (
            SELECT id
            FROM procrastinate_periodic_defers
            WHERE procrastinate_periodic_defers.task_name = _task_name
            AND procrastinate_periodic_defers.periodic_id = _periodic_id
            AND procrastinate_periodic_defers.defer_timestamp < _defer_timestamp
            ORDER BY id
            FOR UPDATE
        ) to_delete
        WHERE procrastinate_periodic_defers.id = to_delete.id;
    RETURN _job_id;
END;
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE vavasms_jobs.procrastinate_jobs (
    id bigint NOT NULL,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    status vavasms_jobs.procrastinate_job_status DEFAULT 'todo'::vavasms_jobs.procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint,
    CONSTRAINT check_not_todo_abort_requested CHECK ((NOT ((status = 'todo'::vavasms_jobs.procrastinate_job_status) AND (abort_requested = true))))
);
CREATE FUNCTION vavasms_jobs.procrastinate_fetch_job_v2(target_queue_names character varying[], p_worker_id bigint) RETURNS vavasms_jobs.procrastinate_jobs
    LANGUAGE plpgsql
    AS $$
DECLARE
	found_jobs procrastinate_jobs;
BEGIN
    WITH candidate AS (
        SELECT jobs.*
            FROM procrastinate_jobs AS jobs
            WHERE
                -- reject the job if its lock has earlier or higher priority jobs
                NOT EXISTS (
                    SELECT 1
                        FROM procrastinate_jobs AS other_jobs
                        WHERE
                            jobs.lock IS NOT NULL
                            AND other_jobs.lock = jobs.lock
                            AND (
                                -- job with same lock is already running
                                other_jobs.status = 'doing'
                                OR
                                -- job with same lock is waiting and has higher priority (or same priority but was queued first)
                                (
                                    other_jobs.status = 'todo'
                                    AND (
                                        other_jobs.priority > jobs.priority
                                        OR (
                                        other_jobs.priority = jobs.priority
                                        AND other_jobs.id < jobs.id
                                        )
                                    )
                                )
                            )
                )
                AND jobs.status = 'todo'
                AND (target_queue_names IS NULL OR jobs.queue_name = ANY( target_queue_names ))
                AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
            ORDER BY jobs.priority DESC, jobs.id ASC LIMIT 1
            FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs
        SET status = 'doing', worker_id = p_worker_id
        FROM candidate
        WHERE procrastinate_jobs.id = candidate.id
        RETURNING procrastinate_jobs.* INTO found_jobs;
 RETURN found_jobs;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_finish_job_v1(job_id bigint, end_status vavasms_jobs.procrastinate_job_status, delete_job boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status,
            abort_requested = false,
            attempts = CASE status
                WHEN 'doing' THEN attempts + 1 ELSE attempts
            END
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_notify_queue_abort_job_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'abort_job_requested', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_notify_queue_job_inserted_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat double precision) RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers
    WHERE last_heartbeat < NOW() - (seconds_since_heartbeat || 'SECOND')::INTERVAL
    RETURNING procrastinate_workers.id;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_register_worker_v1() RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY
    INSERT INTO procrastinate_workers DEFAULT VALUES
    RETURNING procrastinate_workers.id;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_retry_job_v1(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
BEGIN
    SELECT abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing'
    FOR UPDATE
    INTO _abort_requested;
    IF _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_retry_job_v2(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
    _current_status procrastinate_job_status;
BEGIN
    SELECT status, abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status IN ('doing', 'failed')
    FOR UPDATE
    INTO _current_status, _abort_requested;
    IF _current_status = 'doing' AND _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status IN ('doing', 'failed')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_trigger_abort_requested_events_procedure_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'abort_requested'::procrastinate_job_event_type);
    RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_trigger_function_scheduled_events_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type, at)
        VALUES (NEW.id, 'scheduled'::procrastinate_job_event_type, NEW.scheduled_at);
	RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_trigger_function_status_events_insert_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'deferred'::procrastinate_job_event_type);
	RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_trigger_function_status_events_update_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    WITH t AS (
        SELECT CASE
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND NEW.status = 'doing'::procrastinate_job_status
                THEN 'started'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'deferred_for_retry'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'failed'::procrastinate_job_status
                THEN 'failed'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'succeeded'::procrastinate_job_status
                THEN 'succeeded'::procrastinate_job_event_type
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND (
                    NEW.status = 'cancelled'::procrastinate_job_status
                    OR NEW.status = 'failed'::procrastinate_job_status
                    OR NEW.status = 'succeeded'::procrastinate_job_status
                )
                THEN 'cancelled'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'aborted'::procrastinate_job_status
                THEN 'aborted'::procrastinate_job_event_type
            WHEN OLD.status = 'failed'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'retried'::procrastinate_job_event_type
            ELSE NULL
        END as event_type
    )
    INSERT INTO procrastinate_events(job_id, type)
        SELECT NEW.id, t.event_type
        FROM t
        WHERE t.event_type IS NOT NULL;
	RETURN NEW;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_unlink_periodic_defers_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE procrastinate_periodic_defers
    SET job_id = NULL
    WHERE job_id = OLD.id;
    RETURN OLD;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_unregister_worker_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM procrastinate_workers
    WHERE id = worker_id;
END;
$$;
CREATE FUNCTION vavasms_jobs.procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE procrastinate_workers
    SET last_heartbeat = NOW()
    WHERE id = worker_id;
END;
$$;
CREATE TABLE vavasms.addressee (
    phone bigint NOT NULL,
    campaign bigint NOT NULL,
    batch integer NOT NULL
);
CREATE TABLE vavasms.batch (
    campaign bigint NOT NULL,
    number integer NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    segments integer NOT NULL,
    size integer NOT NULL,
    excluded integer DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    unknown_attempts integer DEFAULT 0 NOT NULL,
    token text,
    worker text,
    sending_at double precision,
    not_before double precision DEFAULT 0 NOT NULL,
    balance_before text,
    balance_after text,
    message text NOT NULL,
    result text
);
CREATE TABLE vavasms.campaign (
    seq bigint NOT NULL,
    id text NOT NULL,
    state text NOT NULL,
    reason text,
    account text NOT NULL,
    sender_id text NOT NULL,
    message text NOT NULL,
    policy text NOT NULL,
    plan text DEFAULT '{}'::text NOT NULL,
    plan_hash text DEFAULT ''::text NOT NULL,
    created_at double precision NOT NULL,
    max_segments bigint,
    daily_cap integer,
    committed bigint DEFAULT 0 NOT NULL,
    looked_at double precision DEFAULT 0 NOT NULL,
    revision integer DEFAULT 0 NOT NULL
);
ALTER TABLE vavasms.campaign ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vavasms.campaign_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE vavasms.delivery (
    campaign bigint NOT NULL,
    message_id text NOT NULL,
    status text NOT NULL,
    raw_status text NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE vavasms.jobs_step (
    step text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE vavasms.opt_out (
    phone bigint NOT NULL,
    source text NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE vavasms.rate (
    account text NOT NULL,
    tat double precision NOT NULL,
    at double precision DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE vavasms.recipient (
    campaign bigint NOT NULL,
    batch integer NOT NULL,
    "position" integer NOT NULL,
    phone bigint NOT NULL,
    exclusion text
);
CREATE TABLE vavasms.schema_version (
    version integer NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE vavasms_jobs.procrastinate_events (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    type vavasms_jobs.procrastinate_job_event_type,
    at timestamp with time zone DEFAULT now()
);
CREATE SEQUENCE vavasms_jobs.procrastinate_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE vavasms_jobs.procrastinate_events_id_seq OWNED BY vavasms_jobs.procrastinate_events.id;
CREATE SEQUENCE vavasms_jobs.procrastinate_jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE vavasms_jobs.procrastinate_jobs_id_seq OWNED BY vavasms_jobs.procrastinate_jobs.id;
CREATE TABLE vavasms_jobs.procrastinate_periodic_defers (
    id bigint NOT NULL,
    task_name character varying(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint,
    periodic_id character varying(128) DEFAULT ''::character varying NOT NULL
);
CREATE SEQUENCE vavasms_jobs.procrastinate_periodic_defers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE vavasms_jobs.procrastinate_periodic_defers_id_seq OWNED BY vavasms_jobs.procrastinate_periodic_defers.id;
CREATE TABLE vavasms_jobs.procrastinate_workers (
    id bigint NOT NULL,
    last_heartbeat timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE vavasms_jobs.procrastinate_workers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME vavasms_jobs.procrastinate_workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY vavasms_jobs.procrastinate_events ALTER COLUMN id SET DEFAULT nextval('vavasms_jobs.procrastinate_events_id_seq'::regclass);
ALTER TABLE ONLY vavasms_jobs.procrastinate_jobs ALTER COLUMN id SET DEFAULT nextval('vavasms_jobs.procrastinate_jobs_id_seq'::regclass);
ALTER TABLE ONLY vavasms_jobs.procrastinate_periodic_defers ALTER COLUMN id SET DEFAULT nextval('vavasms_jobs.procrastinate_periodic_defers_id_seq'::regclass);
INSERT INTO vavasms.addressee VALUES (2250700000100, 1, 0);
INSERT INTO vavasms.addressee VALUES (2250700000101, 1, 1);
INSERT INTO vavasms.addressee VALUES (2250700000102, 1, 2);
INSERT INTO vavasms.batch VALUES (1, 0, 'accepted', 1, 1, 0, 1, 0, 't0', 'w', 50, 0, NULL, NULL, 'Bonjour', '{"lot":"LOT","ids":["SM"]}');
INSERT INTO vavasms.batch VALUES (1, 1, 'unknown', 1, 1, 0, 1, 0, 't1', 'w', 50, 0, NULL, NULL, 'Bonjour', '{}');
INSERT INTO vavasms.batch VALUES (1, 2, 'queued', 1, 1, 0, 0, 1, NULL, 'w', 50, 0, NULL, NULL, 'Bonjour', NULL);
INSERT INTO vavasms.campaign OVERRIDING SYSTEM VALUE VALUES (1, 'c', 'paused', 'interrupted', 'ops', 'ACME', 'Bonjour', '{}', '{}', 'h', 10, NULL, NULL, 0, 0, 1);
INSERT INTO vavasms.jobs_step VALUES ('03.04.00_50_post_add_retry_failed_job_procedure.sql', '2026-11-28 19:38:44.263853+00');
INSERT INTO vavasms.recipient VALUES (1, 0, 0, 2250700000100, NULL);
INSERT INTO vavasms.recipient VALUES (1, 1, 0, 2250700000101, NULL);
INSERT INTO vavasms.recipient VALUES (1, 2, 0, 2250700000102, NULL);
INSERT INTO vavasms.schema_version VALUES (1, '2026-11-28 19:38:44.263853+00');
INSERT INTO vavasms.schema_version VALUES (2, '2026-11-28 19:38:44.263853+00');
SELECT pg_catalog.setval('vavasms.campaign_seq_seq', 1, true);
SELECT pg_catalog.setval('vavasms_jobs.procrastinate_events_id_seq', 3, true);
SELECT pg_catalog.setval('vavasms_jobs.procrastinate_jobs_id_seq', 3, true);
SELECT pg_catalog.setval('vavasms_jobs.procrastinate_periodic_defers_id_seq', 1, false);
SELECT pg_catalog.setval('vavasms_jobs.procrastinate_workers_id_seq', 1, false);
ALTER TABLE ONLY vavasms.addressee
    ADD CONSTRAINT addressee_pkey PRIMARY KEY (phone, campaign);
ALTER TABLE ONLY vavasms.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (campaign, number);
ALTER TABLE ONLY vavasms.campaign
    ADD CONSTRAINT campaign_id_key UNIQUE (id);
ALTER TABLE ONLY vavasms.campaign
    ADD CONSTRAINT campaign_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY vavasms.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (campaign, message_id);
ALTER TABLE ONLY vavasms.jobs_step
    ADD CONSTRAINT jobs_step_pkey PRIMARY KEY (step);
ALTER TABLE ONLY vavasms.opt_out
    ADD CONSTRAINT opt_out_pkey PRIMARY KEY (phone);
ALTER TABLE ONLY vavasms.rate
    ADD CONSTRAINT rate_pkey PRIMARY KEY (account);
ALTER TABLE ONLY vavasms.recipient
    ADD CONSTRAINT recipient_pkey PRIMARY KEY (campaign, batch, "position");
ALTER TABLE ONLY vavasms.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY vavasms_jobs.procrastinate_events
    ADD CONSTRAINT procrastinate_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vavasms_jobs.procrastinate_jobs
    ADD CONSTRAINT procrastinate_jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vavasms_jobs.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vavasms_jobs.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp);
ALTER TABLE ONLY vavasms_jobs.procrastinate_workers
    ADD CONSTRAINT procrastinate_workers_pkey PRIMARY KEY (id);
CREATE INDEX batch_queued ON vavasms.batch USING btree (campaign, number) WHERE (state = 'queued'::text);
CREATE INDEX batch_sending ON vavasms.batch USING btree (sending_at) WHERE (state = 'sending'::text);
CREATE INDEX batch_unknown ON vavasms.batch USING btree (campaign, number) WHERE (state = 'unknown'::text);
CREATE INDEX campaign_plan ON vavasms.campaign USING btree (account, plan_hash);
CREATE INDEX idx_procrastinate_jobs_worker_not_null ON vavasms_jobs.procrastinate_jobs USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (status = 'doing'::vavasms_jobs.procrastinate_job_status));
CREATE INDEX idx_procrastinate_workers_last_heartbeat ON vavasms_jobs.procrastinate_workers USING btree (last_heartbeat);
CREATE INDEX procrastinate_events_job_id_fkey_v1 ON vavasms_jobs.procrastinate_events USING btree (job_id);
CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON vavasms_jobs.procrastinate_jobs USING btree (id, lock) WHERE (status = ANY (ARRAY['todo'::vavasms_jobs.procrastinate_job_status, 'doing'::vavasms_jobs.procrastinate_job_status]));
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON vavasms_jobs.procrastinate_jobs USING btree (lock) WHERE (status = 'doing'::vavasms_jobs.procrastinate_job_status);
CREATE INDEX procrastinate_jobs_priority_idx_v1 ON vavasms_jobs.procrastinate_jobs USING btree (priority DESC, id) WHERE (status = 'todo'::vavasms_jobs.procrastinate_job_status);
CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON vavasms_jobs.procrastinate_jobs USING btree (queue_name);
CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON vavasms_jobs.procrastinate_jobs USING btree (queueing_lock) WHERE (status = 'todo'::vavasms_jobs.procrastinate_job_status);
CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON vavasms_jobs.procrastinate_periodic_defers USING btree (job_id);
CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1 AFTER UPDATE OF abort_requested ON vavasms_jobs.procrastinate_jobs FOR EACH ROW WHEN (((old.abort_requested = false) AND (new.abort_requested = true) AND (new.status = 'doing'::vavasms_jobs.procrastinate_job_status))) EXECUTE FUNCTION vavasms_jobs.procrastinate_notify_queue_abort_job_v1();
CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 AFTER INSERT ON vavasms_jobs.procrastinate_jobs FOR EACH ROW WHEN ((new.status = 'todo'::vavasms_jobs.procrastinate_job_status)) EXECUTE FUNCTION vavasms_jobs.procrastinate_notify_queue_job_inserted_v1();
CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1 AFTER UPDATE OF abort_requested ON vavasms_jobs.procrastinate_jobs FOR EACH ROW WHEN ((new.abort_requested = true)) EXECUTE FUNCTION vavasms_jobs.procrastinate_trigger_abort_requested_events_procedure_v1();
CREATE TRIGGER procrastinate_trigger_delete_jobs_v1 BEFORE DELETE ON vavasms_jobs.procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION vavasms_jobs.procrastinate_unlink_periodic_defers_v1();
CREATE TRIGGER procrastinate_trigger_scheduled_events_v1 AFTER INSERT OR UPDATE ON vavasms_jobs.procrastinate_jobs FOR EACH ROW WHEN (((new.scheduled_at IS NOT NULL) AND (new.status = 'todo'::vavasms_jobs.procrastinate_job_status))) EXECUTE FUNCTION vavasms_jobs.procrastinate_trigger_function_scheduled_events_v1();
CREATE TRIGGER procrastinate_trigger_status_events_insert_v1 AFTER INSERT ON vavasms_jobs.procrastinate_jobs FOR EACH ROW WHEN ((new.status = 'todo'::vavasms_jobs.procrastinate_job_status)) EXECUTE FUNCTION vavasms_jobs.procrastinate_trigger_function_status_events_insert_v1();
CREATE TRIGGER procrastinate_trigger_status_events_update_v1 AFTER UPDATE OF status ON vavasms_jobs.procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION vavasms_jobs.procrastinate_trigger_function_status_events_update_v1();
ALTER TABLE ONLY vavasms.batch
    ADD CONSTRAINT batch_campaign_fkey FOREIGN KEY (campaign) REFERENCES vavasms.campaign(seq);
ALTER TABLE ONLY vavasms_jobs.procrastinate_events
    ADD CONSTRAINT procrastinate_events_job_id_fkey FOREIGN KEY (job_id) REFERENCES vavasms_jobs.procrastinate_jobs(id) ON DELETE CASCADE;
ALTER TABLE ONLY vavasms_jobs.procrastinate_jobs
    ADD CONSTRAINT procrastinate_jobs_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES vavasms_jobs.procrastinate_workers(id) ON DELETE SET NULL;
ALTER TABLE ONLY vavasms_jobs.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_job_id_fkey FOREIGN KEY (job_id) REFERENCES vavasms_jobs.procrastinate_jobs(id);
