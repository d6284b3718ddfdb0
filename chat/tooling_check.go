package chat

import "strings"

const (
	toolNameMax = 64
	toolHostMax = 253
	// ToolSecretMin characters make a secret one that answers can be searched for.
	ToolSecretMin, ToolSecretMax = 8, 4096
)

// ValidToolName reports whether a name may be that of a tool, a server or a secret.
func ValidToolName(name string) bool {
	if name == "" || len(name) > toolNameMax {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// CheckToolHost says why something cannot stand on the list of hosts that tools may
// talk to; empty when it can.
func CheckToolHost(host string) string {
	name, _ := strings.CutPrefix(host, "*.")
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(host) > toolHostMax {
			return "A host is a name in small letters such as api.example.com, without a scheme, a port or a path; *.example.com is all below it."
		}
	}
	if len(labels) < 2 {
		return "A host has at least two labels, such as example.com."
	}
	return ""
}

// CheckToolSecret says why something cannot be a secret of tools; empty when it can.
func CheckToolSecret(secret string) string {
	switch {
	case len(secret) < ToolSecretMin:
		return "A secret has at least 8 characters: answers are searched for it."
	case len(secret) > ToolSecretMax:
		return "A secret has at most 4096 characters."
	case strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }):
		return "A secret holds printable ASCII only: it goes into a header."
	}
	return ""
}
