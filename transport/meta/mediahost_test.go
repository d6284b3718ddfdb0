package meta

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestPublic_KnowsWhatLiesInside(t *testing.T) {
	for addr, want := range map[string]bool{
		"157.240.1.1": true, "2a03:2880:f0ff::1": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.3.4": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false, "::1": false,
		"::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	for _, mapped := range []string{"[::ffff:127.0.0.1]:443", "[::ffff:10.1.2.3]:443", "nonsense"} {
		if refuseInside("tcp", mapped, nil) == nil {
			t.Errorf("%s is dialled", mapped)
		}
	}
}

// A name of Meta's that resolves to this machine is not dialled, however it got there.
func TestMediaTransport_DialsNothingInside(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "")
	dial := newMediaTransport().DialContext
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	mediaHosts = append(mediaHosts, "localhost")
	defer func() { mediaHosts = mediaHosts[:len(mediaHosts)-1] }()
	if conn, err := dial(ctx, "tcp", "localhost:9"); err == nil {
		_ = conn.Close()
		t.Error("dialled")
	} else if !isInside(err) {
		t.Errorf("%v, want a refusal before the connection", err)
	}
}

func isInside(err error) bool { return errors.Is(err, errInside) }
