package manifests

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const bootstrap = `
apps: [{id: shop, app_secret: secret-of-shop, verify_token: token-of-shop}]
tenants: [{id: acme, name: Acme}]
channels: [{id: acme-wa, tenant: acme, app: shop, kind: whatsapp, phone_number_id: "106000000000001", waba_id: "102000000000001", access_token: t1}]
api_keys: [{tenant: acme, secret: key-of-acme, scopes: ["*"]}]
`

// TestCluster_EntersAsThePodsDo runs the pods of overlays/found and overlays/cluster
// as processes, with their arguments, environment, files, owners and modes, in the
// order that Kubernetes starts them in: a cluster is founded and joined, survives a
// stop of all pods, refuses a second founding, and takes back a pod that lost its
// disk when it has been told.
func TestCluster_EntersAsThePodsDo(t *testing.T) {
	n := newNamespace(t, bootstrap)
	found, cluster := render(t, "overlays/found"), render(t, "overlays/cluster")

	// kubectl apply -k overlays/found, then overlays/cluster: the new pods first, the
	// founder is replaced when they are ready.
	founder := n.begin(found, 1).ready()
	pods := map[int]*pod{2: n.begin(cluster, 2), 3: n.begin(cluster, 3)}
	pods[2].ready()
	pods[3].ready()
	founder.stop()
	pods[1] = n.begin(cluster, 1).ready()
	n.whole(pods[1], 3)

	// What one pod took, another shows.
	if code := post(t, pods[2].edge, "wamid.1", "Are you open?"); code != http.StatusOK {
		t.Fatalf("a webhook was answered %d", code)
	}
	if text := events(t, pods[3].api); !strings.Contains(text, "Are you open?") {
		t.Errorf("another pod shows %s", text)
	}

	// All stop, as in an outage; none is ready before a majority is back.
	for _, p := range pods {
		p.stop()
	}
	for i := range pods {
		pods[i] = n.begin(cluster, i)
	}
	for _, p := range pods {
		p.ready()
	}
	if text := events(t, pods[1].api); !strings.Contains(text, "Are you open?") {
		t.Errorf("after the outage there is %s", text)
	}

	// The founding overlay, applied again.
	pods[1].stop()
	if said := n.begin(found, 1).refused(); !strings.Contains(said, "start it without --found") {
		t.Errorf("a second founding: %s", said)
	}
	pods[1] = n.begin(cluster, 1).ready()

	// A volume is lost.
	pods[2].stop()
	if err := os.RemoveAll(filepath.Join(n.dir, "chumi-2", "var/lib/chumi")); err != nil {
		t.Fatal(err)
	}
	if said := n.begin(cluster, 2).refused(); !strings.Contains(said, "chumi cluster remove --node 2") {
		t.Errorf("a pod with another disk: %s", said)
	}
	n.run(exec.Command(n.chumi, "cluster", "remove", "--node", "2", "--ops-addr", pods[1].ops))
	pods[2] = n.begin(cluster, 2).ready()
	n.whole(pods[3], 3)
	if text := events(t, pods[2].api); !strings.Contains(text, "Are you open?") {
		t.Errorf("the new disk has %s", text)
	}
}

// TestCluster_GrowsFromASinglePod: what overlays/single stored is there in the cluster
// that it becomes.
func TestCluster_GrowsFromASinglePod(t *testing.T) {
	n := newNamespace(t, bootstrap)
	single := n.begin(render(t, "overlays/single"), 1).ready()
	if code := post(t, single.edge, "wamid.1", "Are you open?"); code != http.StatusOK {
		t.Fatalf("a webhook was answered %d", code)
	}
	single.stop()
	founder := n.begin(render(t, "overlays/found"), 1).ready()
	cluster := render(t, "overlays/cluster")
	second, third := n.begin(cluster, 2), n.begin(cluster, 3)
	second.ready()
	third.ready()
	founder.stop()
	n.begin(cluster, 1).ready()
	n.whole(third, 3)
	if text := events(t, second.api); !strings.Contains(text, "Are you open?") {
		t.Errorf("the cluster has %s", text)
	}
}

// whole waits until so many nodes live and every group has a leader and all its voters.
func (n *namespace) whole(p *pod, nodes int) {
	n.t.Helper()
	end := time.Now().Add(patience)
	for {
		text := n.run(exec.Command(n.chumi, "cluster", "status", "--json", "--ops-addr", p.ops))
		var s struct {
			Nodes  []struct{ Live bool }
			Groups []struct {
				Leader     int
				Voters     []int
				WantVoters []int `json:"want_voters"`
			}
		}
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			n.t.Fatal(err)
		}
		there := len(s.Nodes) == nodes
		for _, m := range s.Nodes {
			there = there && m.Live
		}
		for _, g := range s.Groups {
			there = there && g.Leader != 0 && len(g.Voters) == nodes && fmt.Sprint(g.Voters) == fmt.Sprint(g.WantVoters)
		}
		if there {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("the cluster does not become whole: %s", text)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// post sends a webhook with one text and returns the answer's status.
func post(t *testing.T, edge, id, text string) int {
	t.Helper()
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","changes":[{"field":"messages","value":{
"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100000","phone_number_id":"106000000000001"},
"contacts":[{"profile":{"name":"Ada"},"wa_id":"4915550100042"}],
"messages":[{"from":"4915550100042","id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]}}]}]}`, id, time.Now().Unix(), text)
	mac := hmac.New(sha256.New, []byte("secret-of-shop"))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, "http://"+edge+"/hooks/shop", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// events is the tenant's feed as a pod shows it.
func events(t *testing.T, addr string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/v1/events?limit=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-acme")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
