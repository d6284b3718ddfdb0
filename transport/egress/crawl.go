package egress

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits of a crawl.
const (
	// PagesMax is the most pages that one crawl fetches.
	PagesMax = 500
	// DefaultPages is how many it fetches when nobody says.
	DefaultPages = 50
	// CrawlBytesMax is of all pages together.
	CrawlBytesMax = 64 << 20
	// crawlTimeMax ends a crawl of a slow host.
	crawlTimeMax = 10 * time.Minute
	// seenMax bounds the links that are remembered.
	seenMax = 20 * PagesMax
)

// Crawl says what to fetch of a website.
type Crawl struct {
	// Start is the first page; only its host, and only below the directory Start is
	// in, is fetched.
	Start string
	// Pages is the most that are fetched, at most PagesMax; 0 means DefaultPages, 1
	// only Start.
	Pages int
	// Pause is waited between two requests, so that a small host is not pressed.
	Pause time.Duration
	// Links gives the links of a page as they stand in it.
	Links func(*Response) []string
}

// Crawl fetches the pages of a website one after another, breadth first and in
// the order of their links, and gives each that answers 200 to visit, whose error
// ends it. robots.txt is obeyed. It returns how many were visited, with an error
// when Start itself was not to be had; that a later page was not is no error.
func (c *Client) Crawl(ctx context.Context, o Crawl, visit func(*Response) error) (pages int, err error) {
	ctx, cancel := context.WithTimeout(ctx, crawlTimeMax)
	defer cancel()
	start, err := c.Check(o.Start)
	if err != nil {
		return 0, err
	}
	if o.Pages <= 0 {
		o.Pages = DefaultPages
	}
	o.Pages = min(o.Pages, PagesMax)
	rules := c.robots(ctx, start)
	if !rules.allowed(start.RequestURI()) {
		return 0, refused("robots_refuse")
	}
	queue, seen, left := []*url.URL{start}, map[string]bool{pageKey(start): true}, int64(CrawlBytesMax)
	below := directory(start)
	for tried := 0; len(queue) > 0 && pages < o.Pages && tried < 2*o.Pages; tried++ {
		u := queue[0]
		queue = queue[1:]
		if tried > 0 && !sleep(ctx, o.Pause) {
			return pages, failure(ctx.Err())
		}
		page, err := c.Get(ctx, u.String(), min(left, c.opt.BodyMax))
		if tried == 0 {
			if err := firstPage(page, err); err != nil {
				return 0, err
			}
			// The start may lead elsewhere, to www or to https: that is the site then.
			start, below = page.URL, directory(page.URL)
			seen[pageKey(start)] = true
		}
		if ctx.Err() != nil {
			return pages, failure(ctx.Err())
		}
		if err != nil || page.Status != http.StatusOK || origin(page.URL) != origin(start) {
			continue
		}
		if left -= int64(len(page.Body)); left <= 0 {
			return pages, nil
		}
		if err := visit(page); err != nil {
			return pages, err
		}
		pages++
		if o.Links == nil || o.Pages == 1 {
			continue
		}
		for _, link := range o.Links(page) {
			next, err := page.URL.Parse(strings.TrimSpace(link))
			if err != nil || origin(next) != origin(start) || !strings.HasPrefix(pathOf(next), below) || c.check(next) != nil {
				continue
			}
			next.Fragment, next.RawFragment = "", ""
			if key := pageKey(next); !seen[key] && len(seen) < seenMax && rules.allowed(next.RequestURI()) {
				seen[key] = true
				queue = append(queue, next)
			}
		}
	}
	return pages, nil
}

// firstPage is why a crawl cannot begin.
func firstPage(page *Response, err error) error {
	switch {
	case err != nil:
		return err
	case page.Status >= 500 || page.Status == http.StatusTooManyRequests:
		return chat.E("egress", chat.KindUnavailable, "website_unavailable", nil)
	case page.Status != http.StatusOK:
		return refused("page_not_found")
	}
	return nil
}

// robots are the rules of a host. One that has none, or answers nonsense, has no
// rules; one that fails is asked for no page by RFC 9309, but the page itself will
// tell.
func (c *Client) robots(ctx context.Context, start *url.URL) robots {
	at := url.URL{Scheme: start.Scheme, Host: start.Host, Path: "/robots.txt"}
	res, err := c.Get(ctx, at.String(), robotsMax)
	if err != nil || res.Status != http.StatusOK {
		return robots{}
	}
	return parseRobots(res.Body, c.opt.UserAgent)
}

// directory is what a crawl stays below.
func directory(u *url.URL) string {
	if strings.HasSuffix(u.Path, "/") || u.Path == "" {
		return pathOf(u)
	}
	if d := path.Dir(u.Path); d != "/" && d != "." {
		return d + "/"
	}
	return "/"
}

// pathOf is the path that is asked for.
func pathOf(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return u.Path
}

// pageKey is what makes two links the same page.
func pageKey(u *url.URL) string {
	return origin(u) + strings.TrimSuffix(u.EscapedPath(), "/") + "?" + u.RawQuery
}

// sleep waits, false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
