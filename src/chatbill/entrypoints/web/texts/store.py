"""Templates for what is wrong with the database and what to do, by their code."""

from __future__ import annotations

from chatbill.entrypoints.web.texts.amounts import Template

STORE: dict[str, Template] = {
    "store_slow": "It takes longer than {after_s:g} s. Look what keeps it busy, and whether its disk works.",
    "store_failing": "It does not work; the service's log has the cause.",
    "no_tables": "The database has no tables yet. Run `chatbill db upgrade`.",
    "schema_outdated": "The database is older than this program. Run `chatbill db upgrade`.",
    # A file of SQLite
    "disk_full": "The disk is full. Free some space; nothing that was confirmed is lost.",
    "disk_failing": "The disk does not take or give what it should. Look for its errors in the system's log.",
    "database_locked": "Another process has held the database for too long. Try again in a moment.",
    "database_damaged": "The database file is damaged. Restore it from a backup.",
    "not_a_database": "The database file is damaged, or is no database at all. Restore it from a backup.",
    "database_read_only": "The database cannot be written to. Check the permissions of its file and folder.",
    "database_not_opened": "The database file cannot be opened. Check its folder and the permissions of both.",
    "database_replaced": (
        "The database file was removed or replaced while the service has the old one open, and what is written now "
        "will be lost. Stop the service, put the right file in its place, and start it again."
    ),
    # A server of PostgreSQL
    "connection_lost": "The connection to the database was lost. Try again in a moment.",
    "connection_refused": (
        "The database server refuses the connection. Check database, user and password in CHATBILL_DATABASE_URL, and "
        "how many connections the server allows."
    ),
    "server_unreachable": (
        "The database server cannot be reached. Check that it runs, and the address in CHATBILL_DATABASE_URL."
    ),
    "server_read_only": (
        "The database cannot be written to now. It may be a standby server, or a snapshot tried to change it."
    ),
    "server_disk_full": "The database's disk is full. Free some space; nothing that was confirmed is lost.",
    "server_restarting": "The database is stopping or starting. Try again in a moment.",
    "transaction_idle": "The database gave up a transaction that had been idle for too long.",
    "login_refused": "The database refuses this user or password. Check CHATBILL_DATABASE_URL.",
    "database_missing": "There is no such database. Make it with `createdb`, or check CHATBILL_DATABASE_URL.",
    "permission_missing": "The database's user may not do this. Make it the owner of the tables.",
    "no_connection_left": "The database has no connection left. Raise its max_connections, or run fewer processes.",
    "lock_timeout": "Another transaction has held what this one needs for too long. Try again in a moment.",
    "statement_timeout": "The database took too long over a statement. Try again in a moment.",
}
