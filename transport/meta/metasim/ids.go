package metasim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
)

// digest hashes a seed and named parts. Parts are length-prefixed, so that no
// two lists of parts collide by concatenation.
func digest(seed uint64, parts ...string) [sha256.Size]byte {
	n := 8
	for _, p := range parts {
		n += 8 + len(p)
	}
	b := make([]byte, 0, n)
	b = binary.LittleEndian.AppendUint64(b, seed)
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}

// source is a random source that depends on the seed and the parts only.
func source(seed uint64, parts ...string) *rand.Rand {
	d := digest(seed, parts...)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:16])))
}

// remoteID makes a wamid or a mid. Like Meta's, a wamid is not safe in a URL.
func remoteID(k Kind, seed uint64, parts ...string) string {
	d := digest(seed, parts...)
	if k == Instagram {
		return "aWdfZAG1faXRlbTo" + base64.RawURLEncoding.EncodeToString(d[:])
	}
	return "wamid.HBgL" + base64.StdEncoding.EncodeToString(d[:28])
}

func traceID(seed, receipt uint64) string {
	d := digest(seed, "trace", strconv.FormatUint(receipt, 10))
	return "A" + base64.RawURLEncoding.EncodeToString(d[:16])
}

// mediaID is the id of the file of a message.
func mediaID(remote string) string {
	d := digest(0, "media", remote)
	return strconv.FormatUint(binary.LittleEndian.Uint64(d[:])>>14, 10)
}
