package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The variables in which a lane says which servers demos are to use: a Redis, and a PostgreSQL in
// which each has a database of its own. The address of that names none yet: {}.
const (
	demosOn         = "TEST_DEMOS_ON_REDIS"
	demosOnPostgres = "TEST_DEMOS_ON_POSTGRES"
)

// onEngines are the flags by which a demo that keeps its state in a folder uses them.
func onEngines(folder string) (flags []string, err error) {
	if address := os.Getenv(demosOn); address != "" {
		flags = append(flags, "--hot", address)
	}
	server := os.Getenv(demosOnPostgres)
	if server == "" {
		return flags, nil
	}
	sum := sha256.Sum256([]byte(folder))
	name := "demo_" + hex.EncodeToString(sum[:8])
	return append(flags, "--store", strings.Replace(server, "{}", name, 1)), createDatabase(server, name)
}

// createDatabase makes a database, unless it is there.
func createDatabase(server, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, strings.Replace(server, "{}", "postgres", 1))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // it has done its work
	var there bool
	if err := conn.QueryRow(ctx, "select exists (select 1 from pg_database where datname = $1)", name).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "create database "+name+" template template0")
	return err
}

// demoFlags is onEngines for a test.
func demoFlags(t testing.TB, folder string) []string {
	t.Helper()
	flags, err := onEngines(folder)
	if err != nil {
		t.Fatal(err)
	}
	return flags
}
