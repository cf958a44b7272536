package lanes

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL. Its owner is postgres, its user drawbridge, whom row-level security binds.
type Postgres struct {
	Dir      string   // in which its data, its socket and its log are
	Port     int      // of loopback; 0: it listens on its socket alone
	Settings []string // name=value
	In       []string // what its programs are begun by, and made somebody else by: it may live in a namespace of its own

	bin string
	as  *syscall.Credential
	*Process
}

// PostgresPrograms is where Debian, or whoever, keeps initdb and postgres.
func PostgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", needs("PostgreSQL", "make setup-postgres", err)
	}
	return filepath.Dir(path), nil
}

// Make makes a new server, starts it, and makes the user drawbridge, who may make databases.
func (s *Postgres) Make() error {
	if err := s.Run("initdb", "-D", s.Data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	return s.Exec("postgres", "create role drawbridge login createdb")
}

// Data is the folder of its data.
func (s *Postgres) Data() string { return filepath.Join(s.Dir, "data") }

// Run runs one of its programs to its end, as whom it runs.
func (s *Postgres) Run(program string, args ...string) (err error) {
	if s.bin == "" {
		if s.bin, err = PostgresPrograms(); err == nil && len(s.In) == 0 {
			s.as, err = Unprivileged(s.Dir)
		}
		if err != nil {
			return err
		}
	}
	line := append(append(slices.Clone(s.In), filepath.Join(s.bin, program)), args...)
	cmd := exec.Command(line[0], line[1:]...) //nolint:gosec,noctx // PostgreSQL's own, which ends
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.as}, s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// Start starts it, and waits until it answers, after a crash too.
func (s *Postgres) Start() (err error) {
	args, listen := []string{"-D", s.Data(), "-k", s.Dir}, "listen_addresses="
	if s.Port != 0 {
		args, listen = append(args, "-c", fmt.Sprint("port=", s.Port)), "listen_addresses=127.0.0.1"
	}
	args = append(args, "-c", listen)
	for _, setting := range s.Settings {
		args = append(args, "-c", setting)
	}
	line := append(append(slices.Clone(s.In), filepath.Join(s.bin, "postgres")), args...)
	if s.Process, err = Launch(s.Dir, "postgres", s.as, nil, line[0], line[1:]...); err != nil {
		return err
	}
	if err := Until(Patience, func() error { return s.Exec("postgres", "select 1") }); err != nil {
		return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.Said())
	}
	return nil
}

// Stop is a fast shutdown.
func (s *Postgres) Stop() error { return s.End(syscall.SIGINT, Patience) }

// Address is the URL of a database for a user.
func (s *Postgres) Address(user, database string) string {
	if s.Port == 0 {
		return fmt.Sprintf("postgres:///%s?user=%s&host=%s", database, user, s.Dir)
	}
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, s.Port, database)
}

// Exec runs a statement as the owner.
func (s *Postgres) Exec(database, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.Address("postgres", database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // it has answered
	if _, err = conn.Exec(ctx, text); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}
