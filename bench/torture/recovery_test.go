package torture

import (
	"testing"
	"time"
)

func TestRecovery_MeasuresToTheFirstWriteThatBeganAfterTheKill(t *testing.T) {
	r := &recovery{groupOf: map[string]int{"a": 1, "b": 2, "c": 3}}
	kill := time.Now()
	after := func(ms int) time.Time { return kill.Add(time.Duration(ms) * time.Millisecond) }
	if !r.killed(kill, []int{1, 2, 9}) {
		t.Fatal("groups with tenants are not waited for")
	}
	if r.killed(kill, []int{9}) {
		t.Error("a group without tenants is waited for")
	}
	r.answered(exchange{tenant: "a", began: after(-5), ended: after(3)})  // began before
	r.answered(exchange{tenant: "c", began: after(1), ended: after(4)})   // another leader's
	r.answered(exchange{tenant: "b", began: after(10), ended: after(90)}) // the first
	r.answered(exchange{tenant: "b", began: after(20), ended: after(91)})
	if r.waiting() != 1 {
		t.Errorf("%d kills wait, want 1", r.waiting())
	}
	r.answered(exchange{tenant: "a", began: after(30), ended: after(200)})
	got := r.result()
	if r.waiting() != 0 || len(got.First) != 1 || got.First[0] != 90*time.Millisecond || len(got.Last) != 1 || got.Last[0] != 200*time.Millisecond {
		t.Errorf("%d wait, gaps %v", r.waiting(), got)
	}
}

func TestQuantile_IsOneOfTheValues(t *testing.T) {
	var v []time.Duration
	for n := range 100 {
		v = append(v, time.Duration(100-n))
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 50}, {0.99, 99}, {1, 100}, {0, 1}} {
		if got := quantile(v, c.q); got != c.want {
			t.Errorf("q%v is %d, want %d", c.q, got, c.want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}
