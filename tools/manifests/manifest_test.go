package manifests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/types"
)

// configFile is the engine's own, not a manifest.
const configFile = "chumi.yaml"

func TestManifests_HaveNoUnknownField(t *testing.T) {
	list := files(t, deployed, ".yaml", ".yml")
	if len(list) < 10 {
		t.Fatalf("only %v", list)
	}
	for _, path := range list {
		if filepath.Base(path) == configFile {
			continue
		}
		if _, err := decode(read(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, wrong := range []string{
		"apiVersion: apps/v1\nkind: StatefulSet\nspec: {replica: 1}\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nspec: {endpoint: []}\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec: {groups: [{name: x, rules: [{alert: A, expression: up}]}]}\n",
		"apiVersion: v1\nkind: Sercive\n",
	} {
		if _, err := decode([]byte(wrong)); err == nil {
			t.Errorf("this passes:\n%s", wrong)
		}
	}
}

// Every file is used by a kustomization, and every kustomization names files that
// there are.
func TestKustomizations_NameWhatThereIs(t *testing.T) {
	used := map[string]bool{}
	for _, path := range files(t, deployed, "kustomization.yaml") {
		used[path] = true
		list, err := decode(read(t, path))
		if err != nil {
			t.Fatal(err)
		}
		k := list[0].(*types.Kustomization)
		names := slices.Concat(k.Resources, k.Components)
		for _, p := range k.Patches {
			names = append(names, p.Path)
		}
		for _, g := range k.ConfigMapGenerator {
			names = append(names, g.FileSources...)
		}
		for _, name := range names {
			at := filepath.Join(filepath.Dir(path), name)
			if _, err := os.Stat(at); err != nil {
				t.Errorf("%s names %s, which is not there", path, name)
			}
			used[at] = true
		}
	}
	for _, path := range files(t, deployed, ".yaml") {
		if !used[path] {
			t.Errorf("%s is used by no kustomization", path)
		}
	}
}

func TestPods_AreRestricted(t *testing.T) {
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, o := range overlays {
		r := render(t, o)
		for _, c := range evaluator.EvaluatePod(restricted, &r.set.Spec.Template.ObjectMeta, r.pod()) {
			if !c.Allowed {
				t.Errorf("%s: %s: %s", o, c.ForbiddenReason, c.ForbiddenDetail)
			}
		}
		c := r.container()
		if s := c.SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s: the root of the pod can be written", o)
		}
		if m := r.pod().AutomountServiceAccountToken; m == nil || *m {
			t.Errorf("%s: the pod gets a token of Kubernetes", o)
		}
		if c.Resources.Limits.Cpu().Sign() != 0 || c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()) != 0 {
			t.Errorf("%s: limits %v of requests %v", o, c.Resources.Limits, c.Resources.Requests)
		}
		for _, object := range r.all {
			if s, ok := object.(*core.Secret); ok {
				t.Errorf("%s holds the Secret %s: secrets are referred to", o, s.Name)
			}
		}
	}
}

// selects reports whether a selector finds the pods of the set.
func (r *rendered) selects(s map[string]string) bool {
	return len(s) > 0 && labels.SelectorFromSet(s).Matches(labels.Set(r.set.Spec.Template.Labels))
}

func (r *rendered) matches(t *testing.T, s *meta.LabelSelector) bool {
	t.Helper()
	if s == nil {
		return false
	}
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(r.set.Spec.Template.Labels))
}

func (r *rendered) hasPort(p intstr.IntOrString) bool {
	return slices.ContainsFunc(r.container().Ports, func(c core.ContainerPort) bool {
		return p.Type == intstr.String && c.Name == p.StrVal || p.Type == intstr.Int && c.ContainerPort == p.IntVal
	})
}

func TestNames_LeadSomewhere(t *testing.T) {
	for _, o := range overlays {
		r := render(t, o)
		if !r.matches(t, r.set.Spec.Selector) {
			t.Errorf("%s: the set does not select its own pods", o)
		}
		for name, s := range r.services {
			if !r.selects(s.Spec.Selector) {
				t.Errorf("%s: service %s selects %v", o, name, s.Spec.Selector)
			}
			for _, p := range s.Spec.Ports {
				if !r.hasPort(p.TargetPort) {
					t.Errorf("%s: service %s leads to port %v", o, name, p.TargetPort)
				}
			}
		}
		for _, b := range r.budgets {
			if !r.matches(t, b.Spec.Selector) || b.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("%s: the budget is of other pods, or not one: %+v", o, b.Spec)
			}
		}
		for _, p := range []*core.Probe{r.container().StartupProbe, r.container().LivenessProbe, r.container().ReadinessProbe} {
			if !r.hasPort(p.HTTPGet.Port) {
				t.Errorf("%s: a probe asks port %v", o, p.HTTPGet.Port)
			}
		}
		volumes := map[string]bool{}
		for _, v := range r.pod().Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && r.configs[v.ConfigMap.Name] == nil {
				t.Errorf("%s: there is no config map %s", o, v.ConfigMap.Name)
			}
		}
		for _, c := range r.set.Spec.VolumeClaimTemplates {
			volumes[c.Name] = true
		}
		for _, m := range r.container().VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: there is no volume %s", o, m.Name)
			}
		}
		defined := map[string]bool{}
		for _, e := range r.container().Env {
			defined[e.Name] = true
			if _, rest, uses := strings.Cut(e.Value, "$("); uses {
				if name, _, _ := strings.Cut(rest, ")"); !defined[name] {
					t.Errorf("%s: %s stands before %s, which it uses", o, e.Name, name)
				}
			}
		}
	}
}

// TestPolicies_AdmitWhoMustCome walks the connections that there must be and some
// that there must not.
func TestPolicies_AdmitWhoMustCome(t *testing.T) {
	namespace := func(name string) *meta.LabelSelector {
		return &meta.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": name}}
	}
	for _, o := range overlays {
		r := render(t, o)
		clustered := o != "overlays/single"
		for _, c := range []struct {
			from, port string
			want       bool
		}{
			{"ingress-nginx", "edge", true}, {"ingress-nginx", "api", true}, {"ingress-nginx", "ops", false}, {"ingress-nginx", "peer", false},
			{"monitoring", "ops", true}, {"monitoring", "api", false}, {"default", "edge", false},
		} {
			got := slices.ContainsFunc(r.policies, func(p *networking.NetworkPolicy) bool {
				return slices.ContainsFunc(p.Spec.Ingress, func(rule networking.NetworkPolicyIngressRule) bool {
					from := slices.ContainsFunc(rule.From, func(peer networking.NetworkPolicyPeer) bool {
						return peer.NamespaceSelector != nil && maps.Equal(peer.NamespaceSelector.MatchLabels, namespace(c.from).MatchLabels)
					})
					return from && slices.ContainsFunc(rule.Ports, func(p networking.NetworkPolicyPort) bool { return p.Port.StrVal == c.port })
				})
			})
			if got != c.want {
				t.Errorf("%s: from %s to %s: admitted %v", o, c.from, c.port, got)
			}
		}
		between := 0
		for _, p := range r.policies {
			if !r.matches(t, &p.Spec.PodSelector) || len(p.Spec.PolicyTypes) != 2 {
				t.Errorf("%s: policy %s is of other pods, or of one direction", o, p.Name)
			}
			for _, rule := range p.Spec.Ingress {
				for _, from := range rule.From {
					if from.NamespaceSelector == nil && r.matches(t, from.PodSelector) && rule.Ports[0].Port.StrVal == "peer" {
						between++
					}
				}
			}
			for _, rule := range p.Spec.Egress {
				for _, to := range rule.To {
					if to.NamespaceSelector == nil && r.matches(t, to.PodSelector) && rule.Ports[0].Port.StrVal == "peer" {
						between++
					}
					if b := to.IPBlock; b != nil && (len(b.Except) == 0 || rule.Ports[0].Port.IntVal != 443) {
						t.Errorf("%s: %s is open wider than HTTPS to what is public", o, b.CIDR)
					}
				}
			}
		}
		if !resolves(r) {
			t.Errorf("%s: the pods may not ask for names", o)
		}
		if clustered != (between == 2) {
			t.Errorf("%s: %d of the two rules between nodes", o, between)
		}
	}
}

// resolves reports whether the pods may ask the name server, by UDP and TCP.
func resolves(r *rendered) bool {
	for _, p := range r.policies {
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				if to.PodSelector != nil && maps.Equal(to.PodSelector.MatchLabels, map[string]string{"k8s-app": "kube-dns"}) &&
					maps.Equal(to.NamespaceSelector.MatchLabels, map[string]string{"kubernetes.io/metadata.name": "kube-system"}) {
					return len(rule.Ports) == 2 && rule.Ports[0].Port.IntVal == 53 && rule.Ports[1].Port.IntVal == 53 && *rule.Ports[0].Protocol != *rule.Ports[1].Protocol
				}
			}
		}
	}
	return false
}

func TestServiceMonitor_FindsTheOpsService(t *testing.T) {
	list, err := decode(read(t, filepath.Join(deployed, "monitoring/servicemonitor.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	m := list[0].(*monitoring.ServiceMonitor)
	for _, o := range overlays {
		r := render(t, o)
		var found []string
		for name, s := range r.services {
			if labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
				found = append(found, name)
				if job := s.Labels[m.Spec.JobLabel]; job != "chumi" {
					t.Errorf("%s: the job is called %q; the rules ask for chumi", o, job)
				}
				if s.Spec.Ports[0].Name != m.Spec.Endpoints[0].Port {
					t.Errorf("%s: the monitor asks port %s of %s", o, m.Spec.Endpoints[0].Port, name)
				}
			}
		}
		if !slices.Equal(found, []string{"chumi-ops"}) {
			t.Errorf("%s: the monitor finds %v", o, found)
		}
	}
}

// The stop of a pod has time for all it does, and pods come up without one another.
func TestSet_StopsAndStarts(t *testing.T) {
	for _, o := range overlays {
		r := render(t, o)
		s := r.set.Spec
		const stops = 30
		if grace, before := *r.pod().TerminationGracePeriodSeconds, r.container().Lifecycle.PreStop.Sleep.Seconds; grace <= before+stops {
			t.Errorf("%s: %d s are not enough for %d s and a stop of %d s", o, grace, before, stops)
		}
		peers := r.services[s.ServiceName]
		if peers == nil || peers.Spec.ClusterIP != core.ClusterIPNone || !peers.Spec.PublishNotReadyAddresses {
			t.Errorf("%s: the pods have no names before they are ready", o)
		}
		if s.PodManagementPolicy != "Parallel" || s.Ordinals.Start != 1 {
			t.Errorf("%s: %s from %d", o, s.PodManagementPolicy, s.Ordinals.Start)
		}
	}
	c := render(t, "overlays/cluster")
	if *c.set.Spec.Replicas != 3 || len(c.pod().Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) != 1 ||
		len(c.pod().TopologySpreadConstraints) != 1 {
		t.Errorf("the cluster is not three pods apart from one another")
	}
	if !c.matches(t, c.pod().Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector) ||
		!c.matches(t, c.pod().TopologySpreadConstraints[0].LabelSelector) {
		t.Error("the pods keep apart from others than themselves")
	}
	f := render(t, "overlays/found")
	a, b := c.container().Args, f.container().Args
	if !slices.Equal(a[:len(a)-1], b[:len(b)-1]) || b[len(b)-1] != "--found" || !strings.HasPrefix(a[len(a)-1], "--join=") {
		t.Errorf("found starts with %q, the cluster with %q", b, a)
	}
}
