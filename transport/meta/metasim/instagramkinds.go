package metasim

// instagramKinds are what customers do on Instagram: each sets what an item of
// messaging holds besides its frame.
var instagramKinds = map[UpdateKind]func(u *Update, o object){
	UpdateText:     func(u *Update, o object) { o["message"] = u.said() },
	UpdateImage:    func(u *Update, o object) { o["message"] = u.attached("image", nil) },
	UpdateVideo:    func(u *Update, o object) { o["message"] = u.attached("video", nil) },
	UpdateAudio:    func(u *Update, o object) { o["message"] = u.attached("audio", nil) },
	UpdateDocument: func(u *Update, o object) { o["message"] = u.attached("file", nil) },
	UpdateShare: func(u *Update, o object) {
		o["message"] = u.attached("ig_post", object{"ig_post_media_id": "18000000000000001"})
	},
	UpdateReel: func(u *Update, o object) {
		o["message"] = u.attached("ig_reel", object{"reel_video_id": "18000000000000002"})
	},
	UpdateStoryMention: func(u *Update, o object) { o["message"] = u.attached("story_mention", nil) },
	UpdateSticker:      func(u *Update, o object) { o["message"] = u.attached("like_heart", nil) },
	UpdateStoryReply: func(u *Update, o object) {
		o["message"] = u.said().with("reply_to", object{"story": object{"id": "18000000000000003", "url": u.link()}})
	},
	UpdateButtonReply: func(u *Update, o object) {
		o["message"] = u.said().with("quick_reply", object{"payload": u.payload()})
	},
	UpdateButton: func(u *Update, o object) {
		o["postback"] = object{"mid": u.RemoteID, "title": u.Text, "payload": u.payload()}
	},
	UpdateReaction: func(u *Update, o object) {
		o["reaction"] = object{"mid": u.About, "action": "react", "reaction": "other", "emoji": u.Text}
	},
	UpdateUnreaction: func(u *Update, o object) { o["reaction"] = object{"mid": u.About, "action": "unreact"} },
	UpdateEdit: func(u *Update, o object) {
		o["message_edit"] = object{"mid": u.About, "text": u.Text, "num_edit": 1}
	},
	UpdateRevoke: func(u *Update, o object) { o["message"] = object{"mid": u.About, "is_deleted": true} },
	UpdateReferral: func(u *Update, o object) {
		o["referral"] = object{"ref": u.Text, "source": "SHORTLINK", "type": "OPEN_THREAD"}
	},
	UpdateUnsupported: func(u *Update, o object) { o["message"] = object{"mid": u.RemoteID, "is_unsupported": true} },
	UpdateUnknown:     func(u *Update, o object) { o["hologram"] = object{"mid": u.RemoteID, "projection": u.Text} },
}

// said is a message with words.
func (u *Update) said() object {
	o := object{"mid": u.RemoteID, "text": u.Text}
	if u.About != "" {
		o["reply_to"] = object{"mid": u.About}
	}
	return o
}

// attached is a message with one attachment.
func (u *Update) attached(kind string, more object) object {
	payload := object{"url": u.link()}
	for k, v := range more {
		payload[k] = v
	}
	return object{"mid": u.RemoteID, "attachments": []object{{"type": kind, "payload": payload}}}
}

// link is where something that was attached is: here, or nowhere when nobody
// listens here.
func (u *Update) link() string {
	if u.files == "" {
		return "https://lookaside.example/ig/" + linkName(u.RemoteID)
	}
	return u.files + "/simulator/ig/" + linkName(u.RemoteID)
}
