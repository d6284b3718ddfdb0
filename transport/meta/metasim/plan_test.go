package metasim

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"
)

func TestPlan_Faults(t *testing.T) {
	for _, c := range []struct {
		fault    Fault
		status   int // 0: no answer
		code     int
		answer   Answer
		accepted bool
	}{
		{FaultNone, 200, 0, AnswerAccepted, true},
		{FaultThrottled, 400, 130429, AnswerRefused, false},
		{FaultPairLimited, 400, 131056, AnswerRefused, false},
		{FaultServerError, 500, 0, AnswerFailed, false},
		{FaultBadGateway, 502, 0, AnswerFailed, true},
		{FaultDropped, 0, 0, AnswerDropped, true},
		{FaultReset, 0, 0, AnswerDropped, false},
		{FaultSlow, 200, 0, AnswerAccepted, true},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			s, url := start(t, Options{Plan: Plan{SlowBy: time.Millisecond, Reports: Reports{Off: true},
				Script: func(Send) Fault { return c.fault }}})
			r := send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
			if r.status != c.status || r.code() != c.code || (r.err != nil) != (c.status == 0) {
				t.Errorf("answered %d %q %v", r.status, r.body, r.err)
			}
			e := s.Sends()[0]
			if e.Answer != c.answer || e.Accepted != c.accepted || e.Fault != c.fault || e.Code != c.code || (e.RemoteID != "") != c.accepted {
				t.Errorf("ledger %+v", e)
			}
		})
	}
}

func TestPlan_InstagramThrottling(t *testing.T) {
	for _, f := range []Fault{FaultThrottled, FaultPairLimited} {
		_, url := start(t, Options{Plan: Plan{Script: func(Send) Fault { return f }}})
		r := send(t, url+"/v25.0/"+gram.ID+"/messages", "token-ig", `{"recipient":{"id":"9001"},"message":{"text":"hi"}}`)
		if e, _ := r.json["error"].(map[string]any); r.code() != 613 || e["type"] != "IGApiException" {
			t.Errorf("%s: %s", f, r.body)
		}
	}
}

// TestPlan_Deterministic: what happens to a message depends on the seed and the
// message, not on the order or the concurrency of the requests.
func TestPlan_Deterministic(t *testing.T) {
	run := func(seed uint64, workers int) map[string]Send {
		s, url := start(t, Options{Plan: Plan{Seed: seed, Throttled: 0.2, ServerError: 0.2, BadGateway: 0.2, Reports: Reports{Off: true}}})
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < 60; i += workers {
					send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa",
						fmt.Sprintf(`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"x"},"biz_opaque_callback_data":"c%d"}`, i))
				}
			})
		}
		wg.Wait()
		got := map[string]Send{}
		for _, e := range s.Sends() {
			e.Receipt, e.Time = 0, time.Time{}
			got[e.Callback] = e
		}
		return got
	}
	one, many, other := run(1, 1), run(1, 6), run(2, 1)
	if !reflect.DeepEqual(one, many) {
		t.Error("order of requests changes what happens to them")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("the seed changes nothing")
	}
	faults := map[Fault]int{}
	for _, e := range one {
		faults[e.Fault]++
	}
	if len(faults) != 4 {
		t.Errorf("faults %v", faults)
	}
}

func TestPlan_FaultAttempts(t *testing.T) {
	s, url := start(t, Options{Plan: Plan{Throttled: 1, FaultAttempts: 2, Reports: Reports{Off: true}}})
	for range 3 {
		send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	}
	if got := s.Sends(); got[1].Accepted || !got[2].Accepted {
		t.Errorf("ledger %+v", got)
	}
}

// TestOptions_OnSend: at each moment the ledger already holds the entry.
func TestOptions_OnSend(t *testing.T) {
	var s *Server
	var got []SendMoment
	var mu sync.Mutex
	s, url := start(t, Options{Plan: Plan{Reports: Reports{Off: true}}, OnSend: func(m SendMoment, e Send) {
		mu.Lock()
		defer mu.Unlock()
		if in := s.Sends(); len(in) != 1 || in[0].Receipt != e.Receipt {
			t.Errorf("at %s the ledger holds %+v", m, in)
		}
		if sends, _ := s.InFlight(); sends != 1 {
			t.Errorf("at %s %d in flight", m, sends)
		}
		got = append(got, m)
	}})
	send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	settle(t, s)
	if want := []SendMoment{SendReceived, SendAnswering, SendAnswered}; !reflect.DeepEqual(got, want) {
		t.Errorf("moments %v", got)
	}
}

func TestOptions_OnPost(t *testing.T) {
	e := newEngine(t, func(n int) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	var got []string
	s, _ := start(t, Options{Hooks: e.URL, OnPost: func(m PostMoment, _ *Delivery, status int) {
		got = append(got, fmt.Sprint(m, status))
	}})
	if err := s.Deliver(t.Context(), s.Text(number, ada, "hi")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"starting0", "answered503", "starting0", "answered200"}; !reflect.DeepEqual(got, want) {
		t.Errorf("moments %v", got)
	}
}

func TestPlan_ReportRates(t *testing.T) {
	e := newEngine(t, nil)
	for name, c := range map[string]struct {
		r    Reports
		want int
	}{
		"all":            {Reports{}, 3},
		"skip delivered": {Reports{SkipDelivered: 1}, 2},
		"unread":         {Reports{Unread: 1, SkipDelivered: 1}, 2},
		"failed":         {Reports{Failed: 1}, 2},
		"off":            {Reports{Off: true}, 0},
		"delayed":        {Reports{Read: Latency{Median: time.Millisecond, Sigma: 0.5, Max: 3 * time.Millisecond}}, 3},
	} {
		s, url := start(t, Options{Hooks: e.URL, Plan: Plan{Reports: c.r}})
		send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
		settle(t, s)
		if n := len(s.Arrivals()); n != c.want {
			t.Errorf("%s: %d reports, want %d", name, n, c.want)
		}
	}
}

func TestPlan_Redelivered(t *testing.T) {
	e := newEngine(t, func(n int) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	s, _ := start(t, Options{Hooks: e.URL, Plan: Plan{Redelivered: 1}})
	if err := s.Deliver(t.Context(), s.Text(number, ada, "hi")); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if a := s.Arrivals()[0]; a.Posts != 3 || a.Acks != 2 {
		t.Errorf("arrival %+v", a)
	}
}
