"""The SQL of the ledger. A test keeps the tables equal to ``schema.py``.

Terms such as ``takes != 0`` repeat the condition of a partial index, so that it is used.
"""

LATER = (
    "CREATE INDEX events_crossing ON events (account, seq, charge) WHERE kind = 'crossing.passed'",
)
"""Indexes that a ledger of an earlier version lacks. They are made when it is opened."""

TABLES = (
    "CREATE TABLE events ( seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, "
    "principal TEXT NOT NULL, domain TEXT NOT NULL, session TEXT NOT NULL, call TEXT NOT NULL, "
    "workspace TEXT NOT NULL, what TEXT NOT NULL, takes INTEGER NOT NULL, account TEXT NOT NULL, "
    "charge INTEGER NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (seq) ) STRICT",
    "CREATE INDEX events_call ON events (call) WHERE call != ''",
    "CREATE INDEX events_charge ON events (domain, seq, account, charge) WHERE charge != 0",
    "CREATE INDEX events_session ON events (session, kind) "
    "WHERE kind IN ('session.opened', 'session.closed')",
    "CREATE INDEX events_takes ON events (domain, seq) WHERE takes != 0",
    "CREATE TABLE joins ( seq INTEGER NOT NULL, workspace TEXT NOT NULL, domain TEXT NOT NULL, "
    "session TEXT NOT NULL, bits INTEGER NOT NULL, touch INTEGER NOT NULL, "
    "PRIMARY KEY (seq, workspace) ) WITHOUT ROWID, STRICT",
    "CREATE INDEX joins_touch ON joins (domain, seq) WHERE touch != 0",
    "CREATE INDEX joins_workspace ON joins (workspace, seq)",
    *LATER,
)

_EVENT = (
    "seq, at, kind, principal, domain, session, call, workspace, what, takes, account, charge, "
    "body, hash"
)
_JOIN = "seq, workspace, domain, session, bits, touch"

INSERT_EVENT = f"INSERT INTO events ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_JOIN = f"INSERT INTO joins ({_JOIN}) VALUES (?, ?, ?, ?, ?, ?)"

HEAD = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1"
HASH_AT = "SELECT hash FROM events WHERE seq = :seq"
FIRST_BODY = "SELECT body FROM events WHERE seq = 1"

_SPAN = "domain = :domain AND seq > :after AND seq <= :upto"
CHANGED = (
    f"SELECT EXISTS (SELECT 1 FROM events WHERE {_SPAN} AND takes != 0) "
    f"OR EXISTS (SELECT 1 FROM events WHERE {_SPAN} AND charge != 0) "
    f"OR EXISTS (SELECT 1 FROM joins WHERE {_SPAN} AND touch != 0)"
)
"""Most events change no state; one question finds that out for all three folds."""

TAKES = (
    "SELECT seq, at, CASE what WHEN '' THEN kind ELSE what END, takes FROM events "
    f"WHERE {_SPAN} AND takes != 0 ORDER BY seq"
)
CHARGES = f"SELECT account, sum(charge) FROM events WHERE {_SPAN} AND charge != 0 GROUP BY account"
SPENT = (
    "SELECT coalesce(sum(charge), 0) FROM events WHERE kind = 'crossing.passed' "
    "AND account = :account AND seq > :after AND seq <= :upto"
)
SPENT_BY_ACCOUNT = (
    "SELECT account, sum(charge) FROM events WHERE kind = 'crossing.passed' AND account != '' "
    "GROUP BY account ORDER BY account"
)
TOUCHES = f"SELECT {_JOIN} FROM joins WHERE {_SPAN} AND touch != 0 ORDER BY seq"
JOINS_INTO = (
    f"SELECT {_JOIN} FROM joins "
    "WHERE workspace = :workspace AND seq > :after AND seq <= :upto ORDER BY seq"
)
JOINS_OF = f"SELECT {_JOIN} FROM joins WHERE seq BETWEEN :first AND :last ORDER BY seq, workspace"
STAGES = "SELECT kind FROM events WHERE call = :call AND call != ''"
SESSION_STAGES = (
    "SELECT kind FROM events "
    "WHERE session = :session AND kind IN ('session.opened', 'session.closed')"
)
OPEN_SESSIONS = (
    f"SELECT {_EVENT} FROM events o WHERE o.kind = 'session.opened' AND NOT EXISTS "
    "(SELECT 1 FROM events c WHERE c.session = o.session AND c.kind = 'session.closed') "
    "ORDER BY seq"
)

EVENTS_AFTER = f"SELECT {_EVENT} FROM events WHERE seq > :after ORDER BY seq LIMIT :limit"
FILTERED = (
    f"SELECT {_EVENT} FROM events WHERE seq > :after "
    "AND (:kind = '' OR kind = :kind) AND (:domain = '' OR domain = :domain) "
    "AND (:session = '' OR session = :session) AND (:workspace = '' OR workspace = :workspace) "
    "ORDER BY seq LIMIT :limit"
)
OF_CALL = f"SELECT {_EVENT} FROM events WHERE call = :call AND call != '' ORDER BY seq"
"""Through its index: a call has a handful of events."""
NEWEST_OF_CALL = (
    f"SELECT {_EVENT} FROM events WHERE call = :call AND call != '' ORDER BY seq DESC LIMIT 1"
)
"""A run has one for each of its steps."""
SESSION_OPENED = (
    f"SELECT {_EVENT} FROM events WHERE session = :session AND kind = 'session.opened' LIMIT 1"
)

SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
