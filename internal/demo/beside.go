package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// Place says where bridges are that run elsewhere, and where the demo's servers are to be
// reached beside them: everything by the addresses that the bridges' configuration names.
type Place struct {
	Bridge string // the bridges' public URL
	App    string // Fleet Web's origin
	// InsecureBind is the address to listen at instead of loopback, for a container whose
	// ports are published on loopback alone: the servers sign in whoever reaches them.
	InsecureBind string
}

// Beside is Open for bridges that run elsewhere. Of o, Listen counts for nothing, and each
// connection says its issuer.
func Beside(o Options, at Place) (*Servers, error) {
	s := &Servers{opts: o.usual(), at: at.Bridge}
	if o.Data == "" {
		return nil, errors.New("demo: providers beside bridges need a folder of their own, or they forget by which tokens they may send")
	}
	if _, err := s.opened(func() error { return s.listenAt(at) }); err != nil {
		return nil, err
	}
	for _, i := range s.idps {
		if i.Issuer() != i.spec.Issuer {
			return nil, errors.Join(fmt.Errorf("demo: the identity provider of %s would be %s, and sign_in.issuer says %s", i.spec.ID, i.Issuer(), i.spec.Issuer), s.Stop(context.Background()))
		}
	}
	return s, nil
}

// listenAt listens where the configuration says, or nowhere.
func (s *Servers) listenAt(at Place) (err error) {
	if s.app, err = listenFor(at.App, at.InsecureBind); err != nil {
		return err
	}
	for _, spec := range s.opts.Connections {
		one, err := listenFor(spec.Issuer, at.InsecureBind)
		if err != nil {
			return fmt.Errorf("%w, for %s", err, spec.ID)
		}
		s.idps = append(s.idps, &idp{spec: spec, at: one, secret: spec.ClientSecret})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.control = &server{Listener: l}
	return nil
}

// listenFor listens at the port of an address on this machine.
func listenFor(address, bind string) (*server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("demo: %q is no address", address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "http" || u.Port() == "" || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("demo: %s is not http at an address and port of this machine, such as http://127.0.0.1:8445: the demo signs in whoever asks", address)
	}
	host := u.Hostname()
	if bind != "" {
		host = bind
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, u.Port()))
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &server{Listener: l, named: "http://" + u.Host}, nil
}
