package egress

import (
	"bufio"
	"bytes"
	"strings"
)

// robotsMax is of a robots.txt that is read; RFC 9309 asks for 500 KiB.
const robotsMax = 512 << 10

// robots are the rules of a robots.txt that hold for us.
type robots struct{ allow, disallow []string }

// parseRobots takes the group of agent, or that of everyone when it has none.
func parseRobots(text []byte, agent string) robots {
	var ours, all robots
	var found, named, everyone, rules bool
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "user-agent":
			if rules { // a new group begins
				named, everyone, rules = false, false, false
			}
			named = named || value != "" && value != "*" && strings.Contains(strings.ToLower(agent), strings.ToLower(value))
			everyone = everyone || value == "*"
			found = found || named
		case "allow", "disallow":
			rules = true
			if value == "" {
				continue
			}
			for _, r := range []struct {
				on bool
				of *robots
			}{{named, &ours}, {everyone, &all}} {
				if !r.on {
					continue
				}
				if strings.EqualFold(strings.TrimSpace(key), "allow") {
					r.of.allow = append(r.of.allow, value)
				} else {
					r.of.disallow = append(r.of.disallow, value)
				}
			}
		}
	}
	if found {
		return ours
	}
	return all
}

// allowed reports whether a path may be fetched: the longest rule that matches
// wins, and Allow wins a tie.
func (r robots) allowed(path string) bool {
	longest := func(rules []string) int {
		n := -1
		for _, rule := range rules {
			if matchRobots(rule, path) {
				n = max(n, len(rule))
			}
		}
		return n
	}
	return longest(r.allow) >= longest(r.disallow)
}

// matchRobots matches a rule with its two signs: * for anything, $ for the end.
func matchRobots(rule, path string) bool {
	rule, whole := strings.CutSuffix(rule, "$")
	parts := strings.Split(rule, "*")
	if !strings.HasPrefix(path, parts[0]) {
		return false
	}
	rest := path[len(parts[0]):]
	for i, part := range parts[1:] {
		if whole && i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return !whole || rest == ""
}
