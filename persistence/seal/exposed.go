package seal

import (
	"io/fs"
	"os"
)

// Exposed reports whether users who have no business with a key file may read it.
// A key is for its owner alone. One exception: a file of root's may be read by its
// group when this process is not root, because that is how systemd's LoadCredential
// and a Secret of Kubernetes give a key to whom they start: nobody but root can
// have put it so.
func Exposed(info fs.FileInfo) bool {
	return exposed(info.Mode().Perm(), owner(info), os.Geteuid())
}

func exposed(mode fs.FileMode, owner, self int) bool {
	if owner == 0 && self > 0 {
		return mode&0o037 != 0
	}
	return mode&0o077 != 0
}
