package meta

import (
	"context"
	"net/http"
	"net/url"

	"github.com/chumiai/chumi/chat"
)

// Person asks Instagram for the public profile of a customer, who must have written
// before. Errors are those of a management call; KindInvalid and KindNotFound mean
// that this person's profile is not to be had.
func (c *Client) Person(ctx context.Context, ch chat.Channel, igsid string) (chat.Person, error) {
	var answer struct {
		Name      string    `json:"name"`
		Username  string    `json:"username"`
		Picture   string    `json:"profile_pic"`
		Followers jsonInt64 `json:"follower_count"`
		Verified  bool      `json:"is_verified_user"`
	}
	err := c.call(ctx, call{op: "person", method: http.MethodGet, kind: chat.Instagram, app: ch.App, token: ch.Token, path: join(igsid),
		query: url.Values{"fields": {"name,username,profile_pic,follower_count,is_verified_user"}}}, &answer)
	if err != nil {
		return chat.Person{}, err
	}
	return chat.Person{Name: clip([]byte(answer.Name), nameMax), Username: clip([]byte(answer.Username), nameMax), Picture: answer.Picture,
		Followers: int64(answer.Followers), Verified: answer.Verified}, nil
}
