package peer

import "sync"

// queue is a first-in, first-out line of items with sizes, bounded in both. Many
// put, one takes.
type queue[T any] struct {
	lenMax, bytesMax int
	// ready holds a token while there may be something to take.
	ready chan struct{}

	// mu guards what is below.
	mu     sync.Mutex
	items  []sized[T]
	head   int // items before it were taken
	bytes  int
	closed bool
}

type sized[T any] struct {
	item T
	size int
}

func newQueue[T any](lenMax, bytesMax int) *queue[T] {
	return &queue[T]{lenMax: lenMax, bytesMax: bytesMax, ready: make(chan struct{}, 1)}
}

// put appends an item, or reports that it has no place. An item larger than the
// bound has one when the line is empty.
func (q *queue[T]) put(item T, size int) bool {
	q.mu.Lock()
	n := len(q.items) - q.head
	if q.closed || n >= q.lenMax || n > 0 && q.bytes+size > q.bytesMax {
		q.mu.Unlock()
		return false
	}
	q.items = append(q.items, sized[T]{item, size})
	q.bytes += size
	q.mu.Unlock()
	q.wake()
	return true
}

func (q *queue[T]) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes items of at most bytesMax together, but at least one, and appends
// them to into. It tells their size, and keeps ready set while items are left.
func (q *queue[T]) take(into []T, bytesMax int) (out []T, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head < len(q.items) {
		next := &q.items[q.head]
		if size > 0 && size+next.size > bytesMax {
			q.wake()
			return into, size
		}
		into = append(into, next.item)
		size += next.size
		q.bytes -= next.size
		*next = sized[T]{}
		q.head++
	}
	q.items, q.head = q.items[:0], 0
	if cap(q.items) > 1024 {
		q.items = nil // a burst is over
	}
	return into, size
}

// close refuses further items.
func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
}
