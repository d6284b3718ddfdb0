package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits of fetching files.
const (
	// fetchesInFlightMax bounds files under way on the node, channelFetchesMax
	// those of one channel: a flood of pictures of one business leaves room for
	// the others.
	fetchesInFlightMax = 32
	channelFetchesMax  = 8
	// fetchesKnownMax bounds files that wait or pause, some 300 bytes each. What is
	// turned away is asked for again by its conversation.
	fetchesKnownMax = 16384
	// fetchTimeout bounds one file: 100 MB at 3 Mbit/s.
	fetchTimeout = 5 * time.Minute
	// stubbornMax is how often a file is tried that will likely end as before.
	stubbornMax = 3
	// fetchPause is the first pause before a file is tried again; it doubles up to
	// fetchPauseMax.
	fetchPause    = time.Second
	fetchPauseMax = 15 * time.Minute
)

// fetchJob is a file to be had.
type fetchJob struct {
	tenant       chat.TenantID
	group        chat.Group
	channel      chat.ChannelID
	conversation chat.ConversationID
	effect       chat.StartFetch
}

// fetchKey names a file of a message.
type fetchKey struct {
	conversation chat.ConversationID
	seq          chat.Seq
	index        int
}

func (j *fetchJob) key() fetchKey { return fetchKey{j.conversation, j.effect.Seq, j.effect.Index} }

// fetches brings files of messages to the store, off the mailboxes, a bounded
// number at once; channels take turns, and files of old messages wait for all
// others. A file that is not there yet is tried again after a growing pause, by
// memory alone: its conversation asks again for what was forgotten.
type fetches struct {
	sys *System

	mu sync.Mutex // guards the fields below
	// known holds every file that waits, pauses or is under way.
	known map[fetchKey]*fetch
	// channels holds those that have files waiting or under way; order is their
	// turn.
	channels map[chat.ChannelID]*fetchQueue
	order    []*fetchQueue
	free     int
	parked   bool
	// drops counts deletions under way, persons the profiles.
	drops, persons int
}

// fetch is a job with its history in this process.
type fetch struct {
	fetchJob
	// tries counts attempts that ended.
	tries int
	// stop ends the attempt under way, or the pause.
	stop func()
	// gone is set when nobody wants it from this node any more.
	gone bool
}

// fetchQueue is what one channel has to fetch.
type fetchQueue struct {
	channel chat.ChannelID
	// waiting are files of new messages, late those of old ones.
	waiting, late []*fetch
	running       int
}

func newFetches(s *System) *fetches {
	return &fetches{sys: s, known: make(map[fetchKey]*fetch), channels: make(map[chat.ChannelID]*fetchQueue), free: fetchesInFlightMax}
}

// start makes a file known. One that is known already goes on as it does.
func (f *fetches) start(job fetchJob) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parked || f.known[job.key()] != nil || len(f.known) >= fetchesKnownMax {
		return
	}
	one := &fetch{fetchJob: job}
	f.known[job.key()] = one
	f.enqueue(one)
}

// enqueue puts a file into the queue of its channel. Called with mu held.
func (f *fetches) enqueue(one *fetch) {
	one.stop = nil
	q := f.channels[one.channel]
	if q == nil {
		q = &fetchQueue{channel: one.channel}
		f.channels[one.channel] = q
		f.order = append(f.order, q)
	}
	if one.effect.Late {
		q.late = append(q.late, one)
	} else {
		q.waiting = append(q.waiting, one)
	}
	f.pump()
}

// pump begins what there is room for. Called with mu held.
func (f *fetches) pump() {
	for f.free > 0 {
		one, q := f.next()
		if one == nil {
			return
		}
		f.free--
		q.running++
		ctx, cancel := context.WithCancel(f.sys.life)
		one.stop = cancel
		if !f.sys.workers.run(func() { f.run(ctx, one, q) }) {
			cancel()
			return
		}
	}
}

// next takes the file whose turn it is, nil for none. Called with mu held.
func (f *fetches) next() (*fetch, *fetchQueue) {
	for _, pick := range [...]func(*fetchQueue) *[]*fetch{
		func(q *fetchQueue) *[]*fetch { return &q.waiting }, func(q *fetchQueue) *[]*fetch { return &q.late },
	} {
		for i, q := range f.order {
			list := pick(q)
			for len(*list) > 0 && q.running < channelFetchesMax {
				one := (*list)[0]
				if *list = (*list)[1:]; one.gone {
					continue
				}
				f.order = append(append(f.order[:i:i], f.order[i+1:]...), q)
				return one, q
			}
		}
	}
	return nil, nil
}

// run makes one attempt and decides what follows.
func (f *fetches) run(ctx context.Context, one *fetch, q *fetchQueue) {
	fact, err := f.attempt(ctx, one)
	if err == nil && ctx.Err() == nil {
		f.sys.insist(one.tenant, one.group, one.conversation, fact)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one.stop()
	f.free++
	if q.running--; q.running == 0 && len(q.waiting) == 0 && len(q.late) == 0 {
		f.forget(q)
	}
	defer f.pump()
	if one.gone {
		return
	}
	if err == nil || f.parked {
		delete(f.known, one.key())
		return
	}
	one.tries++
	stop := f.sys.opt.Clock.AfterFunc(f.pauseOf(one, err), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !one.gone {
			f.enqueue(one)
		}
	})
	one.stop = func() { stop() }
}

// forget takes an empty queue out. Called with mu held.
func (f *fetches) forget(q *fetchQueue) {
	delete(f.channels, q.channel)
	for i := range f.order {
		if f.order[i] == q {
			f.order = append(f.order[:i], f.order[i+1:]...)
			return
		}
	}
}

// pauseOf is how long a file rests after a failure.
func (f *fetches) pauseOf(one *fetch, err error) time.Duration {
	pause := min(fetchPause<<min(one.tries-1, 20), fetchPauseMax)
	pause = pause/2 + jittered(pause/2, f.sys.opt.Rand)
	var told *chat.MediaError
	if errors.As(err, &told) {
		pause = max(pause, min(told.RetryAfter, fetchPauseMax))
	}
	return pause
}

// attempt brings the file of a job, once. A fact is what there is to tell; an
// error means that it must be tried again.
func (f *fetches) attempt(ctx context.Context, one *fetch) (chat.FetchFinished, error) {
	fact := chat.FetchFinished{Seq: one.effect.Seq, Index: one.effect.Index}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := f.sys.opt.Clock.AfterFunc(fetchTimeout, cancel)
	defer stop()
	media, err := f.mediaOf(one)
	if err != nil {
		return fact, err
	}
	if media == nil {
		fact.Reason = "gone"
		return fact, nil
	}
	met := &f.sys.met.Media
	met.InFlight.Inc()
	began := f.sys.opt.Clock.Now()
	err = f.bring(ctx, one, media, &fact)
	met.InFlight.Dec()
	met.Fetch.Observe(f.sys.opt.Clock.Now().Sub(began).Seconds())
	result, again := "stored", false
	if err != nil {
		result, again = "failed", !f.final(one, err, &fact)
	}
	if again {
		result = "again"
	}
	met.Fetches.WithLabelValues(result).Inc()
	if !again {
		return fact, nil
	}
	return fact, err
}

// final reports whether an error is the end of a file, and notes why.
func (f *fetches) final(one *fetch, err error, fact *chat.FetchFinished) bool {
	var told *chat.MediaError
	if !errors.As(err, &told) || !told.Permanent && !(told.Stubborn && one.tries+1 >= stubbornMax) {
		return false
	}
	*fact = chat.FetchFinished{Seq: fact.Seq, Index: fact.Index, Reason: told.Reason}
	return true
}

// mediaOf is the file as its message describes it; nil when the message has none
// any more.
func (f *fetches) mediaOf(one *fetch) (*chat.Media, error) {
	events, err := f.sys.opt.Journal.Events(one.tenant, one.conversation, one.effect.Seq-1, 1)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[0].Seq != one.effect.Seq || events[0].Message == nil || events[0].Message.Content == nil ||
		one.effect.Index >= len(events[0].Message.Content.Media) {
		return nil, nil
	}
	return &events[0].Message.Content.Media[one.effect.Index], nil
}

// bring moves the file from Meta to the store.
func (f *fetches) bring(ctx context.Context, one *fetch, media *chat.Media, fact *chat.FetchFinished) error {
	ch, found := f.sys.inUse(one.channel)
	if !found {
		return chat.E("actors.fetch", chat.KindNotFound, "the channel is not bound", nil)
	}
	stem, ok := chat.MediaStem(chat.MessageIDAt(one.conversation, one.effect.Seq), one.effect.Index)
	if !ok {
		return &chat.MediaError{Reason: "gone", Permanent: true}
	}
	body, mimeType, err := f.sys.opt.Media.OpenMedia(ctx, ch, *media)
	if err != nil {
		return err
	}
	fact.Kept, err = f.sys.opt.Files.Keep(ctx, one.tenant, stem, body)
	_ = body.Close() // all of it was read, or it is of no use
	fact.MIME, fact.Filename = mimeType, media.Filename
	return err
}

// forsake lets go of the files of a group that this node leads no more: whoever
// leads it asks for them.
func (f *fetches) forsake(g chat.Group) { f.leave(func(one *fetch) bool { return one.group == g }) }

// park lets go of everything and takes no more.
func (f *fetches) park() {
	f.mu.Lock()
	f.parked = true
	f.mu.Unlock()
	f.leave(func(*fetch) bool { return true })
}

func (f *fetches) leave(which func(*fetch) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, one := range f.known {
		if !which(one) {
			continue
		}
		one.gone = true
		if one.stop != nil {
			one.stop()
		}
		delete(f.known, key)
	}
}

// fetching reports whether a file of the message may be on its way.
func (f *fetches) fetching(m chat.MessageID, index int) bool {
	c, seq, _ := m.Parse()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[fetchKey{c, seq, index}] != nil
}
