package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/keys"
)

// rewrapped is what key rewrap --json prints.
type rewrapped struct {
	Changed bool      `json:"changed"`
	DataKey string    `json:"data_key"`
	Root    string    `json:"root"`
	RootKey string    `json:"root_key,omitempty"`
	Since   time.Time `json:"since"`
}

func (c *cli) keyRewrap() *cobra.Command {
	file, oldFile, oldConfig := "drawbridge.yaml", "", ""
	cmd := &cobra.Command{Use: "rewrap --config FILE", Short: "Bring the keys at rest under another root", Args: cobra.NoArgs,
		Long: "rewrap brings the data key, which everything at rest is sealed under, from under the root of before to under the one\nthat the configuration names (keys.root). The bridge must be stopped. The new root key file is made if there is none.\nNothing else changes: nobody is signed out, and applications notice nothing. The old root opens the database no more.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(file)
			if err != nil {
				return err
			}
			old := rootOf(cfg)
			switch {
			case oldFile != "":
				old = keys.Root{File: oldFile}
			case oldConfig != "":
				before, err := c.load(oldConfig)
				if err != nil {
					return err
				}
				old = rootOf(before)
			}
			return c.rewrap(cmd.Context(), cfg, old)
		}}
	cmd.Flags().StringVar(&file, "config", file, "configuration file, which names the new root")
	cmd.Flags().StringVar(&oldFile, "old-file", "", "the old root key file")
	cmd.Flags().StringVar(&oldConfig, "old-config", "", "a configuration file that names the old root")
	cmd.MarkFlagsMutuallyExclusive("old-file", "old-config")
	return cmd
}

func (c *cli) rewrap(ctx context.Context, cfg *config.Config, old keys.Root) (err error) {
	s, err := openStore(ctx, cfg)
	if err != nil {
		return failed(exitUsage, "the database cannot be opened; is the bridge stopped? %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	next := rootOf(cfg)
	e, changed, err := keys.Rewrap(ctx, keyRows{s}, old, next, time.Now())
	if err != nil {
		return failed(exitUsage, "nothing was changed: %w", err)
	}
	if c.json {
		return c.print(rewrapped{changed, e.DataKey, e.Root, e.RootKey, e.Since})
	}
	if !changed {
		fmt.Fprintf(c.out, "%s is under %s since %s: there is nothing to do.\n", e.DataKey, next, e.Since.Local().Format(minute))
		return nil
	}
	fmt.Fprintf(c.out, "%s is under %s now. The old root opens this database no more; backups that were made before still need it.\n", e.DataKey, next)
	return nil
}

// examineRoot tells what the keys at rest are under, and since when.
func examineRoot(root keys.Root, e credential.Envelope, now time.Time, say finding) {
	name := ""
	if e.RootKey != "" {
		name = " (" + e.RootKey + ")"
	}
	say(api.LevelOK, "", "the keys at rest are under %s%s, for %d days", root, name, int(now.Sub(e.Since).Hours()/24))
}
