package actors

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metatest"
)

// TestInboundMail_CarriesEverything: what Meta says arrives at another node as it
// was decoded, to the last member of its content.
func TestInboundMail_CarriesEverything(t *testing.T) {
	carried, withContent := 0, 0
	for _, file := range metatest.Files(t, "../transport/meta/testdata") {
		_, cases := metatest.Read(t, file)
		for _, c := range cases {
			list, err := meta.Decode("main", c.Body())
			if err != nil {
				continue
			}
			for _, in := range list {
				if in.Problem != "" {
					continue // it stays where it came in
				}
				onWire, err := proto.Marshal(inboundMail(&in))
				if err != nil {
					t.Fatal(err)
				}
				var mail mailpb.Inbound
				if err := proto.Unmarshal(onWire, &mail); err != nil {
					t.Fatal(err)
				}
				if got := inboundFrom("main", &mail); !reflect.DeepEqual(got, in) {
					t.Errorf("%s: arrives as\n%+v\nleft as\n%+v", c.Name, got, in)
				}
				carried++
				if in.Content != nil {
					withContent++
				}
			}
		}
	}
	if withContent < 100 || carried == withContent {
		t.Errorf("%d updates were carried, %d of them with content: too few of one kind to show anything", carried, withContent)
	}
}

// TestInboundMail_OfANewerNode: content that this version cannot read is no reason
// to lose the update.
func TestInboundMail_OfANewerNode(t *testing.T) {
	m := inboundMail(&chat.Inbound{Kind: chat.InboundMessage, Remote: "wamid.1", Raw: []byte("{}")})
	m.Content = []byte(`{"identity":{"kind":"x","became":[{"kind":"a kind of tomorrow","value":"v"}]}}`)
	if in := inboundFrom("main", m); in.Content != nil || in.Remote != "wamid.1" || string(in.Raw) != "{}" {
		t.Errorf("arrives as %+v", in)
	}
}
