package main

import (
	"testing"
	"time"
)

func TestSteadyTime_DoesNotGoBack(t *testing.T) {
	s := newSteadyTime(time.Now())
	for _, step := range []struct {
		what         string
		wall, passed time.Duration // since it began
		behind       time.Duration
	}{
		{"nothing was set", time.Second, time.Second, 0},
		{"set two hours ahead", 2*time.Hour + 2*time.Second, 2 * time.Second, 0},
		{"set right: the time goes on from there", 3 * time.Second, 3 * time.Second, 2 * time.Hour},
		{"and a second is a second", 4 * time.Second, 4 * time.Second, 2 * time.Hour},
		{"set two hours back", -2*time.Hour + 5*time.Second, 5 * time.Second, 4 * time.Hour},
		{"set ahead, not as far", time.Hour + 6*time.Second, 6 * time.Second, time.Hour},
		{"set further ahead than ever", 3*time.Hour + 7*time.Second, 7 * time.Second, 0},
	} {
		if got := s.behind(step.wall, step.passed); got != step.behind {
			t.Errorf("%s: %v behind, want %v", step.what, got, step.behind)
		}
	}
}

func TestSteadyTime_KeepsTheMonotonicReadingWhileNothingIsSet(t *testing.T) {
	at := time.Now()
	s := newSteadyTime(at)
	if got := s.since(at); got != at {
		t.Errorf("%v became %v", at, got)
	}
	s.behind(clockStepMin/2, 0)
	if got := s.since(at); got != at {
		t.Errorf("half a second is no step: %v became %v", at, got)
	}
	// Behind an earlier reading, the difference of two times is what passed.
	s.behind(time.Hour, 0)
	first, second := s.since(at), s.since(at.Add(time.Second))
	if !first.Equal(at.Add(time.Hour)) || second.Sub(first) != time.Second {
		t.Errorf("%v, %v", first, second)
	}
}
