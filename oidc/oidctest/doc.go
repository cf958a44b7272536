// Package oidctest has identity providers that live in the process of a test or
// of the demo: each is a SCIM client in one vendor's dialect and an OpenID
// Provider with that vendor's claims. It also has a small relying party. They
// talk to the bridge by HTTP alone, as the real ones do; what they send is held
// against testdata/*.txtar.
package oidctest
