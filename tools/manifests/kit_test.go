// Package manifests holds what deploy/ says against those who will read it: the types
// of Kubernetes and of the Prometheus operator, kustomize, compose. It is in a
// module of its own, so that the engine's has none of them.
package manifests

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// root is the repository, deployed what is checked, seen from here.
const (
	root     = "../.."
	deployed = root + "/deploy/kubernetes"
)

// object is anything with a name.
type object interface {
	GetName() string
	GetNamespace() string
}

// typeOf is an empty object of a kind, nil for one this page does not know.
func typeOf(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 Namespace":
		return &core.Namespace{}
	case "v1 ServiceAccount":
		return &core.ServiceAccount{}
	case "v1 Service":
		return &core.Service{}
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Secret":
		return &core.Secret{}
	case "apps/v1 StatefulSet":
		return &apps.StatefulSet{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}
	case "kustomize.config.k8s.io/v1beta1 Kustomization":
		return &types.Kustomization{}
	}
	return nil
}

// decode reads the documents of a file; a field that its kind does not have is an
// error.
func decode(text []byte) (out []any, err error) {
	for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(doc, &head); err != nil {
			return nil, err
		}
		if head.Kind == "" && len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		into := typeOf(head.APIVersion, head.Kind)
		if into == nil {
			return nil, fmt.Errorf("%s %s is a kind that nobody checks: add it to typeOf", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			return nil, fmt.Errorf("%s: %w", head.Kind, err)
		}
		out = append(out, into)
	}
	return out, nil
}

// rendered is what kustomize makes of a directory, by type.
type rendered struct {
	set      *apps.StatefulSet
	services map[string]*core.Service
	configs  map[string]*core.ConfigMap
	budgets  []*policy.PodDisruptionBudget
	policies []*networking.NetworkPolicy
	all      []any
}

func (r *rendered) pod() *core.PodSpec         { return &r.set.Spec.Template.Spec }
func (r *rendered) container() *core.Container { return &r.pod().Containers[0] }

// render builds an overlay as kubectl apply -k does.
func render(t *testing.T, dir string) *rendered {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(deployed, dir))
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	r := &rendered{services: map[string]*core.Service{}, configs: map[string]*core.ConfigMap{}}
	if r.all, err = decode(text); err != nil {
		t.Fatal(err)
	}
	for _, o := range r.all {
		switch o := o.(type) {
		case *apps.StatefulSet:
			r.set = o
		case *core.Service:
			r.services[o.Name] = o
		case *core.ConfigMap:
			r.configs[o.Name] = o
		case *policy.PodDisruptionBudget:
			r.budgets = append(r.budgets, o)
		case *networking.NetworkPolicy:
			r.policies = append(r.policies, o)
		}
	}
	return r
}

// overlays are what an operator applies, monitoring aside.
var overlays = []string{"overlays/single", "overlays/cluster", "overlays/found"}

// files lists what is below a directory of deploy with one of the endings.
func files(t *testing.T, dir string, endings ...string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, e := range endings {
			if strings.HasSuffix(path, e) {
				list = append(list, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
