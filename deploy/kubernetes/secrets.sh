#!/bin/sh
# Prints the Secrets of the pods, made of what chumi cluster init wrote and a bootstrap
# file, for kubectl apply -f -. Nothing is sent anywhere by it.
# usage: secrets.sh DIR BOOTSTRAP
set -eu
[ $# -eq 2 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
secret() {
	name=$1
	shift
	kubectl create secret generic "$name" --namespace chumi --dry-run=client -o yaml "$@"
	echo ---
}
secret chumi-kek --from-file="kek=$1/node-1/kek"
secret chumi-bootstrap --from-file="bootstrap.yaml=$2"
dir=$1
set -- --from-file="ca.crt=$dir/ca.crt"
for node in "$dir"/node-*; do
	n=${node##*node-}
	set -- "$@" --from-file="chumi-$n.crt=$node/node.crt" --from-file="chumi-$n.key=$node/node.key"
done
secret chumi-nodes "$@"
