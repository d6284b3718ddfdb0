package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// wire is one keep-alive connection of the generator. It writes requests that
// are already complete and reads no more of a response than it must, so that
// the generator takes as little as possible of the machine it shares with the
// server.
type wire struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

// answerIn bounds one exchange: a server that takes longer has failed it.
const answerIn = 60 * time.Second

// post writes one request and returns the status of its response. It connects
// when there is no connection; after an error the next call connects anew.
func (w *wire) post(request []byte) (status int, err error) {
	if w.conn == nil {
		c, err := net.DialTimeout("tcp", w.addr, answerIn)
		if err != nil {
			return 0, fmt.Errorf("bench: connect: %w", err)
		}
		w.conn = c
		if w.r == nil {
			w.r = bufio.NewReaderSize(c, 4<<10)
		}
		w.r.Reset(c)
	}
	_ = w.conn.SetDeadline(time.Now().Add(answerIn))
	if _, err := w.conn.Write(request); err != nil {
		w.close()
		return 0, fmt.Errorf("bench: write: %w", err)
	}
	status, keep, err := readResponse(w.r)
	if err != nil || !keep {
		w.close()
	}
	return status, err
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

var (
	contentLength = []byte("content-length:")
	connection    = []byte("connection:")
)

// readResponse reads one response with a Content-Length, or without a body.
func readResponse(r *bufio.Reader) (status int, keep bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, false, fmt.Errorf("bench: read status line: %w", err)
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, false, errors.New("bench: not an HTTP response")
	}
	status, err = strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, false, errors.New("bench: response without a status")
	}
	length := 0
	keep = true
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return 0, false, fmt.Errorf("bench: read header: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if v, ok := headerValue(line, contentLength); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return 0, false, errors.New("bench: bad Content-Length")
			}
		} else if v, ok := headerValue(line, connection); ok {
			keep = !bytes.EqualFold(v, []byte("close"))
		}
	}
	if _, err = io.CopyN(io.Discard, r, int64(length)); err != nil {
		return 0, false, fmt.Errorf("bench: read body: %w", err)
	}
	return status, keep, nil
}

func headerValue(line, name []byte) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}
