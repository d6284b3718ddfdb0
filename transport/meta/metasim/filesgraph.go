package metasim

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
)

// fileEdges serves what is not a send: links of media, uploads, profiles. It reports
// whether the request was one of these.
//
//	GET    [/{version}]/{media-id}                      the link of a file
//	DELETE [/{version}]/{media-id}
//	POST   [/{version}]/{account}/media                 upload, WhatsApp
//	POST   [/{version}]/{account}/message_attachments   upload, Instagram
//	GET    [/{version}]/{customer}?fields=              profile, Instagram
func (s *Server) fileEdges(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) > 1 && version(parts[0]) {
		parts = parts[1:]
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Method == http.MethodPost && len(parts) == 2 && (parts[1] == "media" || parts[1] == "message_attachments"):
		s.takeFile(w, r, parts[0], token)
	case len(parts) == 1 && r.Method == http.MethodGet && r.URL.Query().Has("fields") && s.people.known(parts[0]):
		s.showPerson(w, r, parts[0], token)
	case len(parts) == 1 && (r.Method == http.MethodGet || r.Method == http.MethodDelete) && s.files.has(parts[0]):
		s.media(w, r, parts[0], token)
	default:
		return false
	}
	return true
}

// media serves the link of a file, or deletes it.
func (s *Server) media(w http.ResponseWriter, r *http.Request, id, token string) {
	sort := "link"
	if r.Method == http.MethodDelete {
		sort = "delete"
	}
	fault := s.fileFault(sort, id, token != "")
	m := s.files.find(id, s.o.Now())
	if m == nil || fault == FileFaultMissing {
		s.refuse(w, WhatsApp, unknownObject(id))
		return
	}
	a, _ := s.graphAccount(m.account, token)
	if token == "" || a.AccessToken != "" && token != a.AccessToken {
		s.refuse(w, WhatsApp, badToken())
		return
	}
	if number := r.URL.Query().Get("phone_number_id"); number != "" && number != m.account {
		s.refuse(w, WhatsApp, unknownObject(id))
		return
	}
	if r.Method == http.MethodDelete {
		s.files.remove(id)
		writeJSON(w, http.StatusOK, []byte(`{"success":true}`))
		return
	}
	sum := sha256.Sum256(m.body)
	body, err := raw(object{"messaging_product": "whatsapp", "id": id, "mime_type": m.mime, "sha256": hex.EncodeToString(sum[:]),
		"file_size": strconv.Itoa(len(m.body)), "url": "http://" + r.Host + "/simulator/files/" + s.files.issue(m, s.o.Now())})
	if err != nil {
		panic(err) // texts always encode
	}
	writeJSON(w, http.StatusOK, body)
}

// getFile serves GET /simulator/files/{link}: what a link of WhatsApp leads to,
// for the account's token.
func (s *Server) getFile(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	m := s.files.follow(r.PathValue("link"), s.o.Now())
	if m == nil {
		http.Error(w, "URL signature expired", http.StatusNotFound)
		return
	}
	fault := s.fileFault("file", m.id, token != "")
	if a, known := s.graphAccount(m.account, token); token == "" || known && a.AccessToken != "" && token != a.AccessToken {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	if r.Header.Get("User-Agent") == "" {
		http.Error(w, "Bad request", http.StatusBadRequest)
		return
	}
	s.sendFile(w, r, m, fault)
}

// getAttachment serves GET /simulator/ig/{link}: a file of Instagram, which anybody
// with the link may have.
func (s *Server) getAttachment(w http.ResponseWriter, r *http.Request) {
	m := s.files.follow(r.PathValue("link"), s.o.Now())
	if m == nil {
		http.Error(w, "URL signature expired", http.StatusForbidden)
		return
	}
	s.sendFile(w, r, m, s.fileFault("file", m.id, r.Header.Get("Authorization") != ""))
}

func (s *Server) fileFault(sort, id string, token bool) FileFault {
	q := FileRequest{Time: s.o.Now().UTC(), Sort: sort, ID: id, Token: token}
	q.Attempt = s.files.note(q)
	if s.o.Plan.Files == nil {
		return FileFaultNone
	}
	fault := s.o.Plan.Files(q)
	s.files.fault(sort, id, q.Attempt, fault)
	return fault
}

func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, m *storedFile, fault FileFault) {
	body := m.body
	switch fault {
	case FileFaultMissing:
		http.NotFound(w, r)
		return
	case FileFaultRedirect:
		http.Redirect(w, r, s.o.Plan.FileRedirect, http.StatusFound)
		return
	case FileFaultPage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html><body>Sorry, something went wrong.</body></html>")
		return
	case FileFaultSlow:
		sleep(r.Context(), s.stop, s.o.Plan.slowBy())
	case FileFaultWrongHash:
		body = append([]byte(nil), body...)
		body[len(body)-1] ^= 1
	case FileFaultHuge:
		w.Header().Set("Content-Type", m.mime)
		for zero := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(zero); err != nil {
				return
			}
		}
		return
	}
	w.Header().Set("Content-Type", m.mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if fault == FileFaultTruncated {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // a client that left learns nothing
}

// takeFile serves POST …/media and …/message_attachments.
func (s *Server) takeFile(w http.ResponseWriter, r *http.Request, id, token string) {
	account, known := s.graphAccount(id, token)
	switch {
	case !known && len(s.o.Accounts) > 0:
		s.refuse(w, "", unknownObject(id))
		return
	case token == "" || account.AccessToken != "" && token != account.AccessToken:
		s.refuse(w, account.Kind, badToken())
		return
	}
	body, mimeType, problem := readUpload(w, r, account.Kind)
	if problem != "" {
		s.refuse(w, account.Kind, badParameter(problem))
		return
	}
	got := s.files.keep(id, mimeType, body, s.o.Now().Add(uploadLife))
	s.files.note(FileRequest{Time: s.o.Now().UTC(), Sort: "upload", ID: got, Token: true})
	name := "id"
	if account.Kind == Instagram {
		name = "attachment_id"
	}
	answer, err := raw(object{name: got})
	if err != nil {
		panic(err) // texts always encode
	}
	writeJSON(w, http.StatusOK, answer)
}

// readUpload reads the form of an upload, and says what is wrong with it.
func readUpload(w http.ResponseWriter, r *http.Request, k Kind) (body []byte, mimeType, problem string) {
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || t != "multipart/form-data" {
		return nil, "", "The body must be multipart/form-data."
	}
	fields := map[string]string{}
	form := multipart.NewReader(http.MaxBytesReader(w, r.Body, uploadMax+(1<<20)), params["boundary"])
	for {
		p, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, "", "The body could not be read."
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return nil, "", "The body could not be read."
		}
		if p.FileName() == "" {
			fields[p.FormName()] = string(b)
			continue
		}
		fields[p.FormName()], body, mimeType = "file", b, p.Header.Get("Content-Type")
	}
	switch {
	case k == Instagram && fields["filedata"] != "file":
		return nil, "", "Param filedata is missing."
	case k == Instagram && !strings.Contains(fields["message"], `"attachment"`):
		return nil, "", "Param message must hold an attachment."
	case k != Instagram && fields["messaging_product"] != "whatsapp":
		return nil, "", "Param messaging_product must be whatsapp."
	case k != Instagram && fields["file"] != "file":
		return nil, "", "Param file is missing."
	case len(body) == 0:
		return nil, "", "The file is empty."
	}
	return body, mimeType, ""
}
