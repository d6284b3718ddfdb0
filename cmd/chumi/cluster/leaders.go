package cluster

import (
	"sync"

	"github.com/chumiai/chumi/chat"
)

// leaders is the leadership table: for the groups this node takes part in what
// its replicas know, for others what other nodes said. Safe for concurrent use.
type leaders struct {
	self chat.NodeID
	// own is what this node's replica of a group knows; 0 for nothing.
	own func(chat.Group) chat.NodeID
	// holders are the nodes that shall have a group.
	holders func(chat.Group) []chat.NodeID

	mu sync.Mutex // guards the fields below
	// told is who leads by the account of others, turn whom to ask when nobody
	// said: both by group.
	told map[chat.Group]chat.NodeID
	turn map[chat.Group]int
}

func newLeaders(self chat.NodeID, own func(chat.Group) chat.NodeID, holders func(chat.Group) []chat.NodeID) *leaders {
	return &leaders{self: self, own: own, holders: holders, told: map[chat.Group]chat.NodeID{}, turn: map[chat.Group]int{}}
}

// leader is the node to turn to about g: the one that leads it, or one that shall
// know. 0 when there is none.
func (l *leaders) leader(g chat.Group) chat.NodeID {
	if n := l.own(g); n != 0 {
		return n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.told[g]; n != 0 {
		return n
	}
	list := l.holders(g)
	for i := range list {
		if n := list[(l.turn[g]+i)%len(list)]; n != l.self {
			return n
		}
	}
	return 0
}

// known is the node that is known to lead g; 0 for a guess.
func (l *leaders) known(g chat.Group) chat.NodeID {
	if n := l.own(g); n != 0 {
		return n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[g]
}

// misled notes that asked does not lead g, and who does by its account.
func (l *leaders) misled(g chat.Group, asked, leader chat.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case leader != 0 && leader != asked && leader != l.self:
		l.told[g] = leader
	default:
		if l.told[g] == asked {
			delete(l.told, g)
		}
		l.turn[g]++
	}
}

// tell notes that node says it leads g; 0 that nobody who can be reached does.
func (l *leaders) tell(g chat.Group, node chat.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[g] = node
}
