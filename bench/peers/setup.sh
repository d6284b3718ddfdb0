#!/bin/sh
# Installs what the peers need: Redis, PostgreSQL, Node.js and strace from Debian, and
# Express and BullMQ from npm, as bullmq/package-lock.json pins them. Debian's packages
# start servers of their own, which may stay stopped: the bench starts its own on
# sockets in its data directory, and ends them.
set -eu
cd "$(dirname "$0")"
missing=
command -v redis-server >/dev/null || missing="$missing redis-server"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$missing postgresql"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
command -v strace >/dev/null || missing="$missing strace"
if [ -n "$missing" ]; then
	echo "installing$missing"
	apt-get update
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi
(cd bullmq && npm ci --ignore-scripts --no-audit --no-fund)
