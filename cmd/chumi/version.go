package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence"
)

// release and commit are set by -ldflags "-X main.release=... -X main.commit=...";
// without the latter, the commit is what Go recorded at the build.
var release, commit = "dev", ""

// buildInfo is what `chumi version` tells.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Time     string `json:"time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Format is the newest format that this build knows, FormatOldest the oldest one
	// that it can write.
	Format       persistence.FormatVersion `json:"format"`
	FormatOldest persistence.FormatVersion `json:"format_oldest"`
	// Torture is true in a build that can kill itself; never run one for real.
	Torture bool `json:"torture"`
}

func readBuild() buildInfo {
	out := buildInfo{Version: release, Commit: "unknown", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Format: persistence.FormatNewest, FormatOldest: persistence.FormatOldest, Torture: failpoint.Armed}
	if info, ok := debug.ReadBuildInfo(); ok {
		out.read(info)
	}
	if commit != "" {
		out.Commit = commit
	}
	return out
}

// read takes what Go recorded at the build.
func (b *buildInfo) read(info *debug.BuildInfo) {
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.Time = s.Value
		}
	}
}

func (c *cli) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "version", Short: "Print the version of this build", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if asJSON {
				return json.NewEncoder(c.stdout).Encode(b)
			}
			_, err := fmt.Fprintf(c.stdout, "chumi %s (commit %.12s, formats %d to %d, %s, %s)\n", b.Version, b.Commit, b.FormatOldest, b.Format, b.Go, b.Platform)
			return err
		}}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
