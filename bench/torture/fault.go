package torture

import (
	"math"
	"math/rand/v2"
	"time"
)

// FaultKind is one way in which a cluster is harmed.
type FaultKind string

// The kinds.
const (
	KillNode   FaultKind = "kill-node"       // kill -9 of any node
	KillLeader FaultKind = "kill-leader"     // kill -9 of the leader of a group
	PauseNode  FaultKind = "pause"           // stopped, without knowing it
	CutOff     FaultKind = "partition"       // a node hears and reaches no other; clients reach it
	Deaf       FaultKind = "one-way-in"      // it reaches the others and does not hear them
	Mute       FaultKind = "one-way-out"     // it hears the others and does not reach them
	Flapping   FaultKind = "flapping"        // cut off and healed many times a second
	Transfer   FaultKind = "leader-transfer" // leaders go to other nodes in the middle of turns
	WipeDisk   FaultKind = "disk-wiped"      // a node loses its store and is taken in again
	TwoDown    FaultKind = "two-down"        // no majority is left, for a short time
)

// FaultKinds lists every kind.
func FaultKinds() []FaultKind {
	return []FaultKind{KillNode, KillLeader, PauseNode, CutOff, Deaf, Mute, Flapping, Transfer, WipeDisk, TwoDown}
}

// Fault is one harm, decided before it is known which node leads what.
type Fault struct {
	Kind FaultKind
	// Aim chooses the node, the group, or the variant, modulo their number.
	Aim int
	// Lasts is how long it goes on before it is made good.
	Lasts time.Duration
	// With is a second fault that begins while this one lasts, on the same node
	// or on none: the others stay a healthy majority. Mostly nil.
	With *Fault
	// Rest is the healthy time after both.
	Rest time.Duration
}

// deck deals faults: every kind once or more, in an order drawn from the seed,
// and again. So no kind waits longer than a deck, and two runs of one seed meet
// the same faults.
type deck struct {
	r     *rand.Rand
	cards []FaultKind
}

func newDeck(seed uint64) *deck {
	return &deck{r: rand.New(rand.NewPCG(seed, 0x6661756c74))}
}

// often is what a deck holds beside one card of every kind: what happens most
// in life and costs least time here.
var often = []FaultKind{KillLeader, KillNode, PauseNode, CutOff, Transfer}

// next deals one fault.
func (d *deck) next() Fault {
	if len(d.cards) == 0 {
		d.cards = append(FaultKinds(), often...)
		d.r.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
	}
	kind := d.cards[0]
	d.cards = d.cards[1:]
	f := d.fault(kind)
	if d.r.IntN(overlapOneIn) == 0 {
		if kinds := beside(kind); len(kinds) > 0 {
			with := d.fault(kinds[d.r.IntN(len(kinds))])
			with.Lasts = min(with.Lasts, f.Lasts)
			f.With = &with
		}
	}
	f.Rest = d.between(time.Second, 4*time.Second)
	return f
}

// overlapOneIn is how rare a second fault is: most findings need one, and one
// is easier to read.
const overlapOneIn = 4

// beside lists what may happen while a fault of the kind lasts: something else
// to the same node, or a leader that moves.
func beside(k FaultKind) []FaultKind {
	switch k {
	case PauseNode, CutOff, Deaf, Mute, Flapping:
		return []FaultKind{KillNode, Transfer}
	case KillNode, KillLeader:
		return []FaultKind{Transfer}
	case Transfer, WipeDisk, TwoDown:
	}
	return nil
}

// pauseMax is well above every time-out of the engine, connections included.
const pauseMax = time.Minute

func (d *deck) fault(k FaultKind) Fault {
	f := Fault{Kind: k, Aim: d.r.IntN(1 << 20)}
	switch k {
	case KillNode, KillLeader:
		f.Lasts = d.spread(200*time.Millisecond, 8*time.Second)
	case PauseNode:
		f.Lasts = d.spread(100*time.Millisecond, pauseMax)
	case CutOff, Deaf, Mute:
		f.Lasts = d.spread(2*time.Second, 25*time.Second)
	case Flapping:
		f.Lasts = d.between(3*time.Second, 10*time.Second)
	case Transfer:
		f.Lasts = d.between(500*time.Millisecond, 2*time.Second)
	case WipeDisk:
		f.Lasts = d.between(200*time.Millisecond, 2*time.Second)
	case TwoDown:
		f.Lasts = d.between(3*time.Second, 6*time.Second)
	}
	return f
}

func (d *deck) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.r.Int64N(int64(high-low)+1))
}

// spread draws from low to high, half of it below their geometric mean: times
// mostly short and sometimes long.
func (d *deck) spread(low, high time.Duration) time.Duration {
	a, b := math.Log(float64(low)), math.Log(float64(high))
	return min(high, time.Duration(math.Exp(a+d.r.Float64()*(b-a))))
}
