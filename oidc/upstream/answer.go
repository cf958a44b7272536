package upstream

import (
	"crypto/subtle"
	"net/url"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// readAnswer checks the callback's query (RFC 6749 4.1.2, RFC 9207) and gives the
// code. Nothing in it is believed beyond that.
func readAnswer(query url.Values, leg Leg, found *discovery) (string, error) {
	const op = "upstream.Finish"
	for _, name := range []string{"state", "iss", "error", "code"} {
		if len(query[name]) > 1 {
			return "", fault.New(fault.Denied, op, "The answer has two values for %s.", name).Because(ReasonMixUp)
		}
	}
	if !same(query.Get("state"), leg.State) {
		return "", fault.New(fault.Denied, op, "The answer belongs to another sign-in.").Because(ReasonMixUp)
	}
	if iss, ok := query["iss"]; ok && iss[0] != found.issuer || !ok && found.wantsIss {
		return "", fault.New(fault.Denied, op, "The answer comes from another identity provider.").Because(ReasonMixUp)
	}
	if query.Has("error") {
		return "", refusal(query.Get("error"))
	}
	if query.Get("code") == "" {
		return "", fault.New(fault.Denied, op, "The answer carries no code.").Because(ReasonIdP)
	}
	return query.Get("code"), nil
}

// refusal translates the provider's error (RFC 6749 4.1.2.1, Core 3.1.2.6). Its
// description is not repeated: anybody can write one into a link.
func refusal(code string) error {
	const op = "upstream.Finish"
	switch code {
	case "server_error", "temporarily_unavailable":
		return fault.New(fault.Unavailable, op, "The identity provider cannot sign people in at the moment (%s).", code).Because(ReasonDown)
	case "unauthorized_client", "invalid_request", "invalid_scope", "unsupported_response_type":
		return fault.New(fault.Denied, op, "The identity provider does not accept this service's request (%s).", code).Because(ReasonSetUp)
	}
	return fault.New(fault.Denied, op, "The identity provider refused the sign-in (%s).", known(code)).Because(ReasonIdP)
}

// known gives an error code of the specifications as it is, and "other" for
// anything else, so that no text of a stranger's is repeated.
func known(code string) string {
	codes := []string{"access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required",
		"invalid_grant", "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type",
		"server_error", "temporarily_unavailable", "unsupported_response_type"}
	if slices.Contains(codes, code) {
		return code
	}
	return "other"
}

// same compares secrets; the empty string equals nothing.
func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
