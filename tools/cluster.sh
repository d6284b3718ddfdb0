#!/bin/sh
# Runs a cluster of three nodes on this machine with one simulator, until Ctrl-C.
# usage: cluster.sh CHUMI DIR
set -eu
chumi=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
dir=$2
mkdir -p "$dir"
cd "$dir"
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

# Nodes that were started again by hand are stopped too: run.sh notes who it is.
stop() {
	trap - INT TERM EXIT
	kill "$simulator" $(cat node-*/pid) 2>/dev/null || true
	wait
}
trap stop INT TERM EXIT
rm -f node-*/pid
hooks=http://127.0.0.1:18180,http://127.0.0.1:18280,http://127.0.0.1:18380
"$chumi" simulate --bootstrap bootstrap.yaml --hooks "$hooks" --graph-addr 127.0.0.1:18090 --model-addr 127.0.0.1:18091 2> simulator.log &
simulator=$!
# N of node N: edge 18N80, api 18N81, ops 18N82, peer 18N83. The first of a new
# cluster founds it, once; who lost its disk joins the others.
first=
ls -d node-*/data > /dev/null 2>&1 || first=--found
for n in 1 2 3; do
	case $n in
	1) others=127.0.0.1:18283,127.0.0.1:18383 ;;
	2) others=127.0.0.1:18183,127.0.0.1:18383 ;;
	3) others=127.0.0.1:18183,127.0.0.1:18283 ;;
	esac
	cat > "node-$n/run.sh" <<SH
#!/bin/sh
cd "$(pwd)/node-$n" && echo \$\$ > pid && exec "$chumi" serve --config chumi.yaml --bootstrap ../bootstrap.yaml \${1:---join $others} \\
	--edge-addr 127.0.0.1:18${n}80 --api-addr 127.0.0.1:18${n}81 --ops-addr 127.0.0.1:18${n}82 --peer-addr 127.0.0.1:18${n}83 \\
	--set meta.graph_url=http://127.0.0.1:18090 --set meta.instagram_url=http://127.0.0.1:18090 --set assistant.base_url=http://127.0.0.1:18091/v1 2>> log
SH
	chmod +x "node-$n/run.sh"
	: > "node-$n/log"
	"node-$n/run.sh" $first &
	first=
done
for n in 1 2 3; do
	i=0
	until grep -q '^ready' "node-$n/log"; do
		i=$((i + 1))
		if [ $i -gt 300 ]; then echo "node $n is not ready; see $dir/node-$n/log" >&2; exit 1; fi
		sleep 0.1
	done
	echo "node $n: $(grep '^ready' "node-$n/log" | tail -1)"
done
echo "logs, pids and run.sh of each node are in $dir/node-N; Ctrl-C stops everything"
wait
