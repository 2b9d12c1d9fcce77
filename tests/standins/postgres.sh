#!/bin/sh
# Does what the entry point of the image of PostgreSQL does: the first start makes the cluster and its database, by a
# server that listens on its socket alone.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
as_postgres() {
    setpriv --reuid postgres --regid postgres --init-groups env HOME=/var/lib/postgresql "$@"
}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    as_postgres mkdir -p "$PGDATA"
    # shellcheck disable=SC2086 # several options
    as_postgres "$bin/initdb" -D "$PGDATA" -U "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
        --auth-local trust --auth-host scram-sha-256 $POSTGRES_INITDB_ARGS
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    as_postgres "$bin/pg_ctl" -D "$PGDATA" -w -o "-c listen_addresses=''" start
    as_postgres "$bin/createdb" -U "$POSTGRES_USER" "$POSTGRES_DB"
    as_postgres "$bin/pg_ctl" -D "$PGDATA" -w stop
fi
exec setpriv --reuid postgres --regid postgres --init-groups "$bin/postgres" -D "$PGDATA" -c "listen_addresses=*"
