package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
)

func (c *cli) fmt() *cobra.Command {
	check := false
	cmd := &cobra.Command{Use: "fmt [FILE|DIR]", Short: "Give a configuration its usual spacing", Args: cobra.MaximumNArgs(1),
		Long: "fmt changes spacing and nothing else: ends of lines, empty lines, what is not seen. Words, comments, quotes and\norder stay. With --check it changes nothing, names the files that it would change, and exits with 1.",
		RunE: func(_ *cobra.Command, args []string) error {
			path := "drawbridge.yaml"
			if len(args) == 1 {
				path = args[0]
			}
			return c.formatAll(path, check)
		}}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit 1 if a file would change")
	return cmd
}

func (c *cli) formatAll(path string, check bool) error {
	files, err := config.Own(path)
	if err != nil {
		return &exit{code: exitUsage, err: err}
	}
	changed := []string{}
	for _, f := range files {
		formatted, err := config.Format(f.Data)
		if err != nil {
			return failed(exitUsage, "%s: %w", f.Name, err)
		}
		if bytes.Equal(formatted, f.Data) {
			continue
		}
		changed = append(changed, f.Name)
		if check {
			continue
		}
		if err := replaceFile(f.Name, formatted); err != nil {
			return failed(exitUsage, "%s is as it was: %w", f.Name, err)
		}
	}
	if c.json {
		if err := c.print(map[string]any{"changed": changed, "files": len(files)}); err != nil {
			return err
		}
	}
	for _, name := range changed {
		if !c.json {
			fmt.Fprintln(c.out, name)
		}
	}
	if check && len(changed) > 0 {
		return &exit{code: exitNo}
	}
	return nil
}
