package ssf

import "encoding/json"

// metadata is the transmitter's configuration metadata (SSF 1.0 section 7.1): it says
// nothing that changes while we run.
func metadata(c Config) []byte {
	type scheme struct {
		URN string `json:"spec_urn"`
	}
	b, err := json.Marshal(struct {
		Version       string   `json:"spec_version"`
		Issuer        string   `json:"issuer"`
		JWKS          string   `json:"jwks_uri"`
		Methods       []string `json:"delivery_methods_supported"`
		Configuration string   `json:"configuration_endpoint"`
		Status        string   `json:"status_endpoint"`
		Add           string   `json:"add_subject_endpoint"`
		Remove        string   `json:"remove_subject_endpoint"`
		Verification  string   `json:"verification_endpoint"`
		Critical      []string `json:"critical_subject_members"`
		Schemes       []scheme `json:"authorization_schemes"`
		Subjects      string   `json:"default_subjects"`
	}{"1_0", c.Issuer, c.JWKS, []string{Push, Poll}, c.Issuer + pathStreams, c.Issuer + pathStatus, c.Issuer + pathAdd, c.Issuer + pathRemove,
		c.Issuer + pathVerify, []string{MemberUser, MemberSession}, []scheme{{"urn:ietf:rfc:6749"}}, "ALL"})
	if err != nil { // strings always encode
		return []byte("{}")
	}
	return b
}
