package metasim

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	// captionMax is the characters of a caption.
	captionMax = 1024
	// contactsMax is how many contacts a message may hold: the simulator's own
	// bound, Meta names none.
	contactsMax = 257
	// pinDaysMax is how long a message of a group may be pinned.
	pinDaysMax = 30
)

func readText(_ string, content json.RawMessage) (string, *graphError) {
	var in struct {
		Body    string `json:"body"`
		Preview bool   `json:"preview_url"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	if strings.TrimSpace(in.Body) == "" {
		return in.Body, badParameter("The parameter text['body'] is required.")
	}
	return in.Body, atMost("text['body']", in.Body, WhatsAppTextMax)
}

// media is a file that was uploaded, or that Meta fetches from a link.
type media struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}

// source checks where the file is.
func (m *media) source(name string) *graphError {
	switch {
	case (m.ID == "") == (m.Link == ""):
		return badParameter(fmt.Sprintf("The parameter %s takes either id or link.", name))
	case m.Link != "":
		return webLink(name+"['link']", m.Link)
	case !digits(m.ID, 1, 32):
		return badParameter(fmt.Sprintf("Param %s['id'] is not the id of uploaded media.", name))
	}
	return nil
}

func readMedia(kind string, content json.RawMessage) (string, *graphError) {
	var in media
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	captioned := kind == "image" || kind == "video" || kind == "document"
	switch {
	case in.Caption != "" && !captioned:
		return "", badParameter("Unexpected key " + kind + "['caption'].")
	case in.Filename != "" && kind != "document":
		return "", badParameter("Unexpected key " + kind + "['filename'].")
	case in.Voice && kind != "audio":
		return "", badParameter("Unexpected key " + kind + "['voice'].")
	}
	words := in.Caption
	if words == "" {
		words = in.Filename
	}
	return shown(kind, words), first(in.source(kind), atMost(kind+"['caption']", in.Caption, captionMax))
}

func readLocation(kind string, content json.RawMessage) (string, *graphError) {
	var in struct {
		Latitude  *json.Number `json:"latitude"`
		Longitude *json.Number `json:"longitude"`
		Name      string       `json:"name"`
		Address   string       `json:"address"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	return shown(kind, in.Name), first(degrees("location['latitude']", in.Latitude, 90), degrees("location['longitude']", in.Longitude, 180))
}

// degrees checks a coordinate, which may be a number or a number in a string.
func degrees(name string, n *json.Number, max float64) *graphError {
	if n == nil {
		return badParameter("The parameter " + name + " is required.")
	}
	if v, err := n.Float64(); err != nil || v < -max || v > max {
		return badParameter(fmt.Sprintf("Param %s must be a number from %v to %v.", name, -max, max))
	}
	return nil
}

func readContacts(kind string, content json.RawMessage) (string, *graphError) {
	var in []struct {
		Name *struct {
			Formatted string `json:"formatted_name"`
			First     string `json:"first_name"`
			Middle    string `json:"middle_name"`
			Last      string `json:"last_name"`
			Prefix    string `json:"prefix"`
			Suffix    string `json:"suffix"`
		} `json:"name"`
		Addresses, Emails, Phones, URLs []map[string]string
		Birthday                        string            `json:"birthday"`
		Org                             map[string]string `json:"org"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	if e := count("contacts", len(in), 1, contactsMax); e != nil {
		return "", e
	}
	var names []string
	for i, c := range in {
		if c.Name == nil || c.Name.Formatted == "" {
			return "", badParameter(fmt.Sprintf("The parameter contacts[%d]['name']['formatted_name'] is required.", i))
		}
		if c.Name.First+c.Name.Middle+c.Name.Last+c.Name.Prefix+c.Name.Suffix == "" {
			return "", badParameter(fmt.Sprintf("Param contacts[%d]['name'] needs a part besides formatted_name.", i))
		}
		names = append(names, c.Name.Formatted)
	}
	return shown(kind, strings.Join(names, ", ")), nil
}

func readReaction(kind string, content json.RawMessage) (string, *graphError) {
	var in struct {
		MessageID string  `json:"message_id"`
		Emoji     *string `json:"emoji"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	switch {
	case in.MessageID == "":
		return "", badParameter("The parameter reaction['message_id'] is required.")
	case in.Emoji == nil:
		return "", badParameter("The parameter reaction['emoji'] is required; an empty one takes the reaction back.")
	}
	return shown(kind, *in.Emoji), nil
}

func readPin(kind string, content json.RawMessage) (string, *graphError) {
	var in struct {
		Type      string      `json:"type"`
		MessageID string      `json:"message_id"`
		Days      json.Number `json:"expiration_days"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	days, _ := in.Days.Int64()
	switch {
	case in.Type != "pin" && in.Type != "unpin":
		return "", badParameter("Param pin['type'] must be one of {PIN, UNPIN}.")
	case in.MessageID == "":
		return "", badParameter("The parameter pin['message_id'] is required.")
	case in.Type == "pin" && (days < 1 || days > pinDaysMax):
		return "", badParameter("Param pin['expiration_days'] must be a number from 1 to 30.")
	}
	return shown(kind, ""), nil
}
