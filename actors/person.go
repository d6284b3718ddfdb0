package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits of fetching profiles.
const (
	// personsMax bounds profiles that are being fetched, each with its picture.
	// What is turned away is asked for with the first message of another day.
	personsMax = 16
	// personTimeout bounds one, picture included.
	personTimeout = time.Minute
)

// personJob is a customer whose profile is wanted.
type personJob struct {
	tenant       chat.TenantID
	group        chat.Group
	channel      chat.ChannelID
	conversation chat.ConversationID
	effect       chat.WantProfile
}

// person fetches a profile unless the one there is is young.
func (f *fetches) person(job personJob) {
	if f.sys.opt.Persons == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parked || f.persons >= personsMax {
		return
	}
	if f.sys.workers.run(func() { f.fetchPerson(job) }) {
		f.persons++
	}
}

func (f *fetches) fetchPerson(job personJob) {
	defer func() {
		f.mu.Lock()
		f.persons--
		f.mu.Unlock()
	}()
	contact, err := f.sys.opt.Contacts.Contact(job.tenant, job.effect.Contact)
	if err != nil || !contact.Profile.Stale(f.sys.core.now(job.group)) {
		return
	}
	ctx, cancel := context.WithCancel(f.sys.life)
	defer cancel()
	defer f.sys.opt.Clock.AfterFunc(personTimeout, cancel)()
	fact, ok := f.lookUp(ctx, job)
	if !ok || ctx.Err() != nil {
		return
	}
	f.sys.insist(job.tenant, job.group, job.conversation, fact)
}

// lookUp asks for the profile and brings its picture. ok is false when another time
// may know more.
func (f *fetches) lookUp(ctx context.Context, job personJob) (fact chat.ProfileFetched, ok bool) {
	ch, found := f.sys.inUse(job.channel)
	if !found {
		return fact, false
	}
	fact = chat.ProfileFetched{Contact: job.effect.Contact, Profile: chat.Profile{Fetched: f.sys.core.now(job.group)}}
	person, err := f.sys.opt.Persons.Person(ctx, ch, job.effect.IGSID)
	switch chat.KindOf(err) {
	case chat.KindInvalid, chat.KindNotFound:
		fact.Profile.Refused = "not_available"
		if fault := chat.GraphErrorOf(err); fault != nil {
			fact.Profile.Refused = fault.Reason
		}
		return fact, true
	}
	if err != nil {
		return fact, false
	}
	fact.Name = person.Name
	fact.Profile.Username, fact.Profile.Followers, fact.Profile.Verified = person.Username, person.Followers, person.Verified
	if person.Picture == "" {
		return fact, true
	}
	if err := f.bringPicture(ctx, job, ch, person.Picture, &fact.Profile); err != nil {
		// A profile without its picture is better than none, for a day.
		fact.Profile.Fetched = fact.Profile.Fetched.Add(24*time.Hour - chat.ProfileLife)
	}
	return fact, true
}

func (f *fetches) bringPicture(ctx context.Context, job personJob, ch chat.Channel, link string, p *chat.Profile) error {
	body, mimeType, err := f.sys.opt.Media.OpenMedia(ctx, ch, chat.Media{Kind: "image", URL: link})
	if err != nil {
		return err
	}
	kept, err := f.sys.opt.Files.Keep(ctx, job.tenant, chat.PictureStem(job.effect.Contact), body)
	_ = body.Close() // all of it was read, or it is of no use
	if err == nil {
		p.Picture, p.PictureKey, p.PictureType = string(kept.Blob), kept.Key, mimeType
	}
	return err
}
