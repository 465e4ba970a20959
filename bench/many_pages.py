"""What the dashboard shows beside calls, in the volume that a million of them bring.

PostgreSQL makes it itself, of the calls that `bench/many_calls.py` copied: names, scorecards, sums
by day, assignments, webhooks, the logs. The newest twentieth of the calls still has its verdicts,
its transcript, turns and latencies; older ones lost them to retention, as in a product.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.many_calls import indexes_afterwards

TOLD = 0.05  # share of the calls with verdicts and a transcript
CHECKS = 25  # of each drill, as the shipped rubric has
LINES = 40  # of each transcript
REQUESTS, ENTRIES, ASSIGNMENTS = 0.3, 0.3, 0.002  # for each call: API requests, audit, assignments
EVENTS = 0.2  # for each call: events that went to the endpoint
PEOPLE = 20  # of each assignment, at most


@dataclass(frozen=True)
class Part:
    """Rows of one table, made by one statement."""

    table: str
    statement: str


def pages_fill(
    connection: "psycopg.Connection[tuple]",
    values: Mapping[str, str | uuid.UUID | int],
    *,
    done: Path,
) -> Iterator[str]:
    """Make each part that the file `done` does not name yet; says what was made.

    `values`: tenant, rubric_owner, rubric, endpoint, key, user (ids), calls (how many).
    """
    values = {**values, "told": round(int(values["calls"]) * TOLD)}
    made_before = done.read_text().split() if done.exists() else []
    for part in PARTS:
        if part.table in made_before:
            continue
        began = time.monotonic()
        with connection.transaction(), ExitStack() as stack:
            stack.enter_context(indexes_afterwards(connection, part.table))
            connection.execute("SET LOCAL session_replication_role = replica")
            made = connection.execute(part.statement.encode(), values).rowcount
        connection.execute(f"VACUUM (ANALYZE) {part.table}".encode())
        with done.open("a") as file:
            file.write(f"{part.table}\n")
        yield f"{part.table}: {made} rows in {time.monotonic() - began:.0f} s"


def _picked(words: str, by: str) -> str:
    """SQL: one of the words, always the same for the same value."""
    names = words.split()
    listed = ", ".join(f"'{name}'" for name in names)
    return f"(ARRAY[{listed}])[1 + mod(hashtext({by}) & 65535, {len(names)})]"


_FIRST = _picked("Ada Ben Cleo Dan Eve Finn Gia Hugo Ines Jon Kim Leo Mia Noah", "id::text")
_LAST = _picked("Abbott Brandt Castillo Dubois Evans Fischer Garcia Huang", "reverse(id::text)")
_TEAM = _picked("Red Blue Green Gold", "external_id")
_SAID = "We look at what your plan covers today and at what it costs you each month, step by step."
# The newest calls, which still have everything.
_TOLD = """
    WITH told AS MATERIALIZED (
        SELECT id, drill_key, started_at, ended_at FROM calls_call
        WHERE tenant_id = %(tenant)s AND mode = 'live' AND stage = 'scored'
        ORDER BY ended_at DESC LIMIT %(told)s
    )
"""
_NAMES = f"""
    UPDATE tenants_rep SET team = {_TEAM},
        name = CASE WHEN hashtext(external_id) & 3 > 0 THEN {_FIRST} || ' ' || {_LAST} ELSE '' END
    WHERE tenant_id = %(tenant)s
"""
_SCORECARDS = """
    INSERT INTO scoring_scorecard (
        id, tenant_id, call_id, version, rubric_owner_id, rubric_id, judge_name, judge_version,
        judge_model, overall, earned, possible, coverage, sections, hard_fails, metrics, summary,
        feedback, created_at
    )
    SELECT gen_random_uuid(), tenant_id, id, 1, %(rubric_owner)s, %(rubric)s, 'embedded', '1',
        'minilm', overall, overall, 100, CASE WHEN random() < 0.05 THEN 0.7 ELSE 1 END,
        '[{"key": "one", "title": "Opening", "earned": 8, "possible": 10}]',
        CASE WHEN random() < 0.02 THEN '["check_1"]'::jsonb ELSE '[]' END,
        '{"talk_ratio": 0.56, "longest_monologue": 14.2, "pace": 148.0, "questions": 2,
          "interruptions": 0, "patience": 0.8, "silence": 3.1, "rep_seconds": 12.6,
          "persona_seconds": 12.6, "rep_turns": 3, "persona_turns": 3}',
        'A friendly opening and a clear close, but little was asked.',
        'Ask about doctors before you name a plan.', scored_at
    FROM calls_call
    WHERE tenant_id = %(tenant)s AND mode = 'live' AND stage = 'scored' AND NOT EXISTS (
        SELECT FROM scoring_scorecard AS own
        WHERE own.tenant_id = calls_call.tenant_id AND own.call_id = calls_call.id
    )
"""
_VERDICTS = f"""
    {_TOLD}
    INSERT INTO scoring_verdict (
        id, tenant_id, scorecard_id, position, check_key, section, title, question, advice, answer,
        points, max_points, verified, evidence, reason
    )
    SELECT gen_random_uuid(), %(tenant)s, card.id, number, 'check_' || number, 'one',
        'Asked about point ' || number || ' of the plan', 'Did the rep ask about it?', 'Ask.',
        answer, CASE answer WHEN 'yes' THEN 4 WHEN 'partial' THEN 2 ELSE 0 END, 4, true,
        jsonb_build_object('kind', 'absence', 'firstTurn', 1, 'lastTurn', {LINES}, 'start', 5.0,
            'end', 29.2, 'turnsSearched', 3), ''
    FROM told JOIN scoring_scorecard AS card
        ON card.call_id = told.id AND card.tenant_id = %(tenant)s
    CROSS JOIN generate_series(1, {CHECKS}) AS number
    CROSS JOIN LATERAL (
        SELECT (ARRAY['yes', 'yes', 'yes', 'partial', 'no'])
            [1 + mod(hashtext(card.id::text || number) & 65535, 5)] AS answer
    ) AS judged
    WHERE NOT EXISTS (SELECT FROM scoring_verdict AS own WHERE own.scorecard_id = card.id)
"""
_WORDED = """jsonb_build_array(
    jsonb_build_object('w', 'We', 's', number * 5.0, 'e', number * 5.0 + 0.3, 'p', 0.9))"""
_LINES = f"""
    {_TOLD}
    INSERT INTO calls_transcriptline (
        id, tenant_id, call_id, number, role, text, start_time, end_time, interrupted, words, lag
    )
    SELECT gen_random_uuid(), %(tenant)s, told.id, number,
        CASE mod(number, 2) WHEN 0 THEN 'user' ELSE 'assistant' END, '{_SAID}', number * 5.0,
        number * 5.0 + 4.2, false, {_WORDED}, 0
    FROM told CROSS JOIN generate_series(1, {LINES}) AS number
    WHERE NOT EXISTS (SELECT FROM calls_transcriptline AS own WHERE own.call_id = told.id)
"""
_TURNS = f"""
    {_TOLD}
    INSERT INTO calls_turn (
        id, tenant_id, call_id, number, role, text, start_time, end_time, interrupted, words,
        latency, director, epoch, created_at
    )
    SELECT gen_random_uuid(), %(tenant)s, told.id, number,
        CASE mod(number, 2) WHEN 0 THEN 'user' ELSE 'assistant' END, '{_SAID}', number * 5.0,
        number * 5.0 + 4.2, false, '[]', '{{"mouth_to_ear": 740, "decided": 310}}', '{{}}', 1,
        told.started_at + number * interval '5 seconds'
    FROM told CROSS JOIN generate_series(1, {LINES}) AS number
"""
_LEDGERS = """
    INSERT INTO calls_callledger (
        id, tenant_id, call_id, answers_ms, barge_ins_ms, rep_turns, cut_offs, missed_ends,
        false_stops, created_at
    )
    SELECT gen_random_uuid(), tenant_id, id, ARRAY[740, 810, 690, 1250, 700, 720, 760, 740],
        ARRAY[140], 8, 0, 0, 0, ended_at
    FROM calls_call WHERE tenant_id = %(tenant)s AND mode = 'live' AND stage = 'scored'
"""
_NOT_DUE = "NULL, 0, 0, ''"  # due_at, tries, failures, last_error
_DAYS = f"""
    INSERT INTO calls_practiceday (
        id, tenant_id, mode, day, agency_id, drill_key, calls, seconds, scored, score_sum,
        due_at, tries, failures, last_error
    )
    SELECT gen_random_uuid(), tenant_id, mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id,
        drill_key, count(*), sum(extract(epoch FROM ended_at - started_at)), count(overall),
        coalesce(sum(overall), 0), {_NOT_DUE}
    FROM calls_call WHERE tenant_id = %(tenant)s AND ended_at IS NOT NULL
    GROUP BY tenant_id, mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id, drill_key
"""
_CHECKS = f"""
    INSERT INTO calls_practicecheck (
        id, tenant_id, practice_day_id, mode, day, agency_id, drill_key, check_key, title, asked,
        met, partly
    )
    SELECT gen_random_uuid(), tenant_id, id, mode, day, agency_id, drill_key, 'check_' || number,
        'Asked about point ' || number || ' of the plan', scored,
        round(scored * (0.3 + random() * 0.4)), round(scored * random() * 0.3)
    FROM calls_practiceday CROSS JOIN generate_series(1, {CHECKS}) AS number
    WHERE tenant_id = %(tenant)s AND scored > 0
"""
_STANDINGS = """
    INSERT INTO calls_repstanding (
        id, tenant_id, mode, rep_id, agency_id, last_at, scores, lately, before
    )
    SELECT gen_random_uuid(), tenant_id, mode, rep_id, agency_id, max(ended_at),
        array_agg(overall ORDER BY place),
        CASE WHEN count(*) >= 3 THEN avg(overall) FILTER (WHERE place <= 3) END,
        CASE WHEN count(*) >= 6 THEN avg(overall) FILTER (WHERE place > 3) END
    FROM (
        SELECT tenant_id, mode, rep_id, agency_id, ended_at, overall, row_number() OVER (
            PARTITION BY mode, rep_id, agency_id ORDER BY ended_at DESC, id DESC
        ) AS place
        FROM calls_call
        WHERE tenant_id = %(tenant)s AND stage = 'scored' AND overall IS NOT NULL
    ) AS ranked
    WHERE place <= 8 GROUP BY tenant_id, mode, rep_id, agency_id
"""
_ASSIGNMENTS = f"""
    INSERT INTO calls_assignment (
        id, tenant_id, public_id, form_id, drill_key, focus, due_on, pass_mark, note, agencies,
        created_by, created_at
    )
    SELECT gen_random_uuid(), agency.tenant_id, 'asg_' || left(md5(random()::text), 21),
        gen_random_uuid(), 'ma-full-sale', '', at::date + 7, 70, '', ARRAY[agency.id],
        'user:' || %(user)s, at
    FROM generate_series(1, ceil(%(calls)s * {ASSIGNMENTS})::integer) AS number
    CROSS JOIN LATERAL (SELECT now() - number * interval '9 hours' AS at) AS given
    JOIN LATERAL (
        SELECT id, tenant_id FROM tenants_agency WHERE tenant_id = %(tenant)s
        ORDER BY hashtext(id::text || number / 3) LIMIT 1
    ) AS agency ON true
"""
_ASSIGNEES = f"""
    INSERT INTO calls_assignee (
        id, tenant_id, assignment_id, rep_id, agency_id, reminder, mails, due_at, tries, failures,
        last_error, created_at
    )
    SELECT gen_random_uuid(), given.tenant_id, given.id, rep.id, rep.agency_id, 'today', 3,
        {_NOT_DUE}, given.created_at
    FROM calls_assignment AS given JOIN LATERAL (
        SELECT id, agency_id FROM tenants_rep
        WHERE tenant_id = given.tenant_id AND agency_id = given.agencies[1] LIMIT {PEOPLE}
    ) AS rep ON true
    WHERE given.tenant_id = %(tenant)s AND NOT EXISTS (
        SELECT FROM calls_assignee AS own WHERE own.assignment_id = given.id
    )
"""
_REQUESTS = f"""
    INSERT INTO tenants_apirequest (
        id, tenant_id, at, method, route, query, status, code, field, subject, key_id, duration_ms
    )
    SELECT gen_random_uuid(), %(tenant)s, now() - random() * interval '7 days', 'GET',
        '/calls/{{callId}}', '', CASE WHEN failed THEN 429 ELSE 200 END,
        CASE WHEN failed THEN 'RATE_LIMITED' ELSE '' END, '', '', %(key)s, 12
    FROM (
        SELECT random() < 0.03 AS failed
        FROM generate_series(1, (%(calls)s * {REQUESTS})::integer)
    ) AS asked
"""
_EVENTS = f"""
    INSERT INTO webhooks_event (
        id, tenant_id, public_id, mode, type, subject_id, call_id, body, created_at
    )
    SELECT gen_random_uuid(), tenant_id, 'wh_' || gen_random_uuid(), 'live', 'call.scored', id,
        public_id, convert_to(json_build_object('success', true, 'callId', public_id,
            'source', 'roleplay', 'note', repeat('x', 600))::text, 'UTF8'), scored_at
    FROM (
        SELECT * FROM calls_call
        WHERE tenant_id = %(tenant)s AND mode = 'live' AND stage = 'scored'
        ORDER BY ended_at DESC LIMIT (%(calls)s * {EVENTS})::integer
    ) AS newest
    WHERE NOT EXISTS (SELECT FROM webhooks_event AS own WHERE own.subject_id = newest.id)
"""
_DELIVERIES = f"""
    INSERT INTO webhooks_delivery (
        id, tenant_id, endpoint_id, event_id, mode, event_type, state, rehearsal, attempt_count,
        last_status, last_failure, created_at, ended_at, due_at, tries, failures, last_error
    )
    SELECT gen_random_uuid(), tenant_id, %(endpoint)s, id, mode, type,
        CASE WHEN failed THEN 'failed' ELSE 'delivered' END, 'normal', 1,
        CASE WHEN failed THEN 500 ELSE 204 END, CASE WHEN failed THEN 'HTTP_STATUS' ELSE '' END,
        created_at, created_at + interval '1 second', {_NOT_DUE}
    FROM (
        SELECT *, hashtext(id::text) & 63 = 0 AS failed FROM webhooks_event AS sent
        WHERE tenant_id = %(tenant)s AND NOT EXISTS (
            SELECT FROM webhooks_delivery AS own WHERE own.event_id = sent.id
        )
    ) AS sent
"""
_ATTEMPTS = """
    INSERT INTO webhooks_attempt (
        id, tenant_id, delivery_id, number, started_at, lookup_ms, connect_ms, answer_ms, total_ms,
        status, error, response_body, request_headers
    )
    SELECT gen_random_uuid(), tenant_id, id, 1, created_at, 1, 9, 31, 44, last_status, last_failure,
        '', '{"content-type": "application/json"}'
    FROM webhooks_delivery AS sent
    WHERE tenant_id = %(tenant)s AND NOT EXISTS (
        SELECT FROM webhooks_attempt AS own WHERE own.delivery_id = sent.id
    )
"""
_ACTIONS = _picked(
    "score.override call.delete calls.export member.invite key.create rep.update assignment.create"
    " endpoint.update retention.change comment.add",
    "number::text",
)
_ENTRIES = f"""
    INSERT INTO tenants_auditevent (id, tenant_id, at, actor, action, target, details)
    SELECT gen_random_uuid(), %(tenant)s, now() - random() * interval '730 days',
        'user:' || %(user)s, {_ACTIONS}, '', '{{"changed": ["name"]}}'
    FROM generate_series(1, (%(calls)s * {ENTRIES})::integer) AS number
"""
PARTS = (
    Part("tenants_rep", _NAMES),
    Part("scoring_scorecard", _SCORECARDS),
    Part("scoring_verdict", _VERDICTS),
    Part("calls_transcriptline", _LINES),
    Part("calls_turn", _TURNS),
    Part("calls_callledger", _LEDGERS),
    Part("calls_practiceday", _DAYS),
    Part("calls_practicecheck", _CHECKS),
    Part("calls_repstanding", _STANDINGS),
    Part("calls_assignment", _ASSIGNMENTS),
    Part("calls_assignee", _ASSIGNEES),
    Part("tenants_apirequest", _REQUESTS),
    Part("webhooks_event", _EVENTS),
    Part("webhooks_delivery", _DELIVERIES),
    Part("webhooks_attempt", _ATTEMPTS),
    Part("tenants_auditevent", _ENTRIES),
)
