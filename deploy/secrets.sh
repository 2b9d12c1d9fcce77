#!/bin/sh
# Writes the secrets of compose.yaml into secrets/ beside this file, each once: what exists is never replaced.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

keep() { # NAME VALUE
    if [ ! -s "secrets/$1" ]; then
        printf '%s' "$2" > "secrets/$1.new"
        # Containers read it as users of their own; the folder keeps the users of this machine out.
        chmod 444 "secrets/$1.new"
        mv "secrets/$1.new" "secrets/$1"
    fi
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep secret_key "$(random)"
keep postgres_password "$(random)"
keep valkey_password "$(random)"
keep grafana_password "$(random)"
keep database_url "postgresql://chatbill:$(cat secrets/postgres_password)@postgres/chatbill"
keep shared_url "valkey://:$(cat secrets/valkey_password)@valkey:6379/0"
