// Package standin lets a plugin say that it stands in for an official one.
package standin

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Announce leaves a line in $PULUMI_HOME/stand-ins/NAME.log, which is written anew at every start. The engine shows
// what a plugin prints in the report of every command, so nothing is printed.
func Announce(name, version, can string) {
	home := os.Getenv("PULUMI_HOME")
	if home == "" {
		return
	}
	line := fmt.Sprintf("%s STAND-IN: this %s %s is not the official plugin. It can: %s. It refuses the rest.\n",
		time.Now().UTC().Format(time.RFC3339), name, version, can)
	logs := filepath.Join(home, "stand-ins")
	// A log that cannot be written is no reason to stop.
	if err := os.MkdirAll(logs, 0o700); err == nil {
		_ = os.WriteFile(filepath.Join(logs, name+".log"), []byte(line), 0o600)
	}
}
