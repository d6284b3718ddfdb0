#!/bin/sh
# Runs a cluster of three nodes on this machine with one simulator, until Ctrl-C.
# usage: cluster.sh CHUMI DIR
set -eu
chumi=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mkdir -p "$2"
cd "$2"
dir=$(pwd)
[ -f ca.crt ] || "$chumi" cluster init --out . --nodes 3
[ -f bootstrap.yaml ] || cat > bootstrap.yaml <<'YAML'
apps:
  - {id: main, app_secret: demo-app-secret, verify_token: demo-verify-token}
tenants:
  - {id: acme, name: Acme}
  - {id: bolt, name: Bolt}
channels:
  - {id: acme-wa, tenant: acme, app: main, kind: whatsapp, phone_number_id: "106000000000001", waba_id: "102000000000001", access_token: demo-token-1}
  - {id: bolt-wa, tenant: bolt, app: main, kind: whatsapp, phone_number_id: "106000000000002", waba_id: "102000000000002", access_token: demo-token-2}
api_keys:
  - {tenant: acme, secret: demo-key-of-acme, scopes: ["*"]}
  - {tenant: bolt, secret: demo-key-of-bolt, scopes: ["*"]}
YAML

# config NAME N: the configuration of NAME at the addresses of node N: edge 18N80,
# api 18N81, ops 18N82, peer 18N83. Paths are whole, so that it is used from anywhere.
config() {
	cat <<YAML
data_dir: "$dir/$1/data"
keys: {file: "$dir/node-1/kek"}
edge: {addr: 127.0.0.1:18${2}80}
api: {addr: 127.0.0.1:18${2}81}
ops: {addr: 127.0.0.1:18${2}82}
peer: {addr: 127.0.0.1:18${2}83}
meta: {graph_url: "http://127.0.0.1:9080", instagram_url: "http://127.0.0.1:9080"}
assistant: {base_url: "http://127.0.0.1:9081/v1"}
YAML
}

# runner NAME FLAGS: a script that runs NAME and notes its pid, so that what was
# started again by hand is stopped too.
runner() {
	cat > "$1/run.sh" <<SH
#!/bin/sh
echo \$\$ > "$dir/$1/pid"
exec "$chumi" serve --config "$dir/$1/chumi.yaml" --bootstrap "$dir/bootstrap.yaml" \${1:-$2} 2>> "$dir/$1/log"
SH
	chmod +x "$1/run.sh"
}
stop() {
	trap - INT TERM EXIT
	kill "$simulator" $(cat */pid) 2>/dev/null || true
	wait
}
trap stop INT TERM EXIT
rm -f */pid
"$chumi" simulate --bootstrap bootstrap.yaml --hooks http://127.0.0.1:18180,http://127.0.0.1:18280,http://127.0.0.1:18380 2> simulator.log &
simulator=$!

# What a backup is restored to: a node alone, at the addresses of node 1.
mkdir -p restored
config restored 1 > restored/chumi.yaml
runner restored ""

# The first node of a new cluster founds it, once; who lost its disk joins the others.
first=
ls -d node-*/data > /dev/null 2>&1 || first=--found
for n in 1 2 3; do
	case $n in
	1) others=127.0.0.1:18283,127.0.0.1:18383 ;;
	2) others=127.0.0.1:18183,127.0.0.1:18383 ;;
	3) others=127.0.0.1:18183,127.0.0.1:18283 ;;
	esac
	config "node-$n" $n > "node-$n/chumi.yaml"
	cat >> "node-$n/chumi.yaml" <<YAML
cluster: {cert_file: "$dir/node-$n/node.crt", key_file: "$dir/node-$n/node.key", ca_file: "$dir/node-$n/ca.crt"}
YAML
	runner "node-$n" "--join $others"
	: > "node-$n/log"
	"node-$n/run.sh" $first &
	first=
done
for n in 1 2 3; do
	"$chumi" ready --wait 30s --ops-addr "127.0.0.1:18${n}82" > /dev/null || { echo "node $n is not ready; see $dir/node-$n/log" >&2; exit 1; }
	echo "node $n: edge=127.0.0.1:18${n}80 api=127.0.0.1:18${n}81 ops=127.0.0.1:18${n}82"
done
i=0
until grep -q '^ready' simulator.log; do
	i=$((i + 1))
	[ $i -le 100 ] || { echo "the simulator does not run; see $dir/simulator.log" >&2; exit 1; }
	sleep 0.1
done
echo "logs, pids and run.sh of each node are in $2/node-N; chumi say writes to them as a customer"
echo "Ctrl-C stops everything"
wait
