package bench

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// wal is the least that makes bodies durable: one file, appended to, and flushed
// once for all that came while the last flush was under way. Nothing is indexed. It
// is the ceiling over everything that waits for a disk.
//
// Each record is its length and the CRC-32 of the body, both 32 bits and little
// endian, and the body.
type wal struct {
	file *os.File
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards next, closed, and sends on wake
	next   *walBatch
	closed bool
}

// walBatch is what one flush makes durable. err is read after done is closed.
type walBatch struct {
	records []byte
	done    chan struct{}
	err     error
}

const walHeader = 8

func openWAL(path string) (*wal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	w := &wal{file: file, wake: make(chan struct{}, 1), done: make(chan struct{}), next: newWALBatch()}
	go w.commit()
	return w, nil
}

func newWALBatch() *walBatch { return &walBatch{done: make(chan struct{})} }

// append returns when body is on disk.
func (w *wal) append(body []byte) error {
	var header [walHeader]byte
	binary.LittleEndian.PutUint32(header[:4], uint32(len(body)))
	binary.LittleEndian.PutUint32(header[4:], crc32.ChecksumIEEE(body))
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return os.ErrClosed
	}
	b := w.next
	b.records = append(append(b.records, header[:]...), body...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	w.mu.Unlock()
	<-b.done
	return b.err
}

// commit writes and flushes batch after batch until the log is closed.
func (w *wal) commit() {
	defer close(w.done)
	var spare []byte
	for range w.wake {
		w.mu.Lock()
		b := w.next
		w.next = newWALBatch()
		w.next.records = spare[:0]
		w.mu.Unlock()
		if len(b.records) > 0 {
			if _, b.err = w.file.Write(b.records); b.err == nil {
				b.err = syncData(w.file)
			}
		}
		spare = b.records
		close(b.done)
	}
}

// close returns when what was appended is on disk.
func (w *wal) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.wake)
	w.mu.Unlock()
	<-w.done
	return w.file.Close()
}

// readWAL calls f with each body of a log. A record that was being written when the
// process was killed ends it.
func readWAL(path string, f func(body []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	var header [walHeader]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return walEnd(err)
		}
		body := make([]byte, binary.LittleEndian.Uint32(header[:4]))
		if _, err := io.ReadFull(r, body); err != nil {
			return walEnd(err)
		}
		if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(header[4:]) {
			return nil
		}
		f(body)
	}
}

func walEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("bench: %w", err)
}
