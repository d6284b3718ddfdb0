package metasim

import "fmt"

// addInstagram appends the update as a messaging item.
func (e *entry) addInstagram(u Update) error {
	e.ID = u.Account.ID
	e.Time = max(e.Time, u.At.UnixMilli())
	if u.Kind == UpdateComment || u.Kind == UpdateLiveComment {
		field, value := u.instagramComment()
		e.Changes = append(e.Changes, change{Field: field, Value: value})
		return nil
	}
	item, err := u.instagram()
	if err != nil {
		return err
	}
	node, err := raw(item)
	if err != nil {
		return err
	}
	e.Messaging = append(e.Messaging, node)
	return nil
}

func (u Update) instagramEcho() object {
	if u.Attachment == "" {
		return object{"mid": u.RemoteID, "text": u.Text, "is_echo": true}
	}
	return object{"mid": u.RemoteID, "is_echo": true, "attachments": []object{
		{"type": u.Attachment, "payload": object{"url": u.link()}}}}
}

func (u Update) instagram() (object, error) {
	o := object{
		"sender":    object{"id": u.Customer.ID},
		"recipient": object{"id": u.Account.ID},
		"timestamp": u.At.UnixMilli(),
	}
	switch u.Kind {
	case UpdateEcho:
		o["sender"], o["recipient"] = object{"id": u.Account.ID}, object{"id": u.Customer.ID}
		o["message"] = u.instagramEcho()
	case UpdateRead:
		o["read"] = object{"mid": u.RemoteID}
	default:
		set := instagramKinds[u.Kind]
		if set == nil {
			return nil, fmt.Errorf("metasim: Instagram has no %q update", u.Kind)
		}
		set(&u, o)
	}
	return o, nil
}
