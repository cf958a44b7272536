package console

import (
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// names are what a sentence may be filled with.
type names struct{ Customer, Application, Product Public }

// say is a reason in customers' words.
type say struct{ Title, Sentence Public }

// The titles that several reasons share.
const (
	titleNoAccess  Public = "You have no access"
	titleNoSignIn  Public = "You could not be signed in"
	titleEnded     Public = "Your access has ended"
	titleSignedOut Public = "You are signed out"
)

// sentences gives every reason code a title and a sentence. A reason says what
// happened and, where the person can do something, what; whom to ask stands below
// it on the page.
func sentences() map[string]say {
	all := map[string]say{}
	for _, table := range []map[string]say{noAccess(), noSignIn(), endings(), stale()} {
		for reason, s := range table {
			all[reason] = s
		}
	}
	return all
}

// noAccess: the person is who they say, and may not.
func noAccess() map[string]say {
	return map[string]say{
		"not_provisioned":          {titleNoAccess, "{customer} has not given you an account here yet. New accounts can take an hour to arrive."},
		"deactivated_by_idp":       {titleEnded, "{customer} has switched your account off."},
		"not_active":               {titleEnded, "{customer} has switched your account off."},
		"suspended_by_vendor":      {titleNoAccess, "Your account is paused. Support can tell you why."},
		session.ReasonNoRule:       {titleNoAccess, "{customer} has given you an account, but none of your groups opens {application}."},
		"not_in_group":             {titleNoAccess, "{customer} has given you an account, but none of your groups opens {application}."},
		"condition_false":          {titleNoAccess, "You are in a group that could open {application}, but something it asks for is not met."},
		"attribute_missing":        {titleNoAccess, "You are in a group that could open {application}, but {customer} has not sent a detail about you that it needs."},
		"condition_failed":         {titleNoAccess, "You are in a group that could open {application}, but what it asks for could not be worked out. Support can help."},
		"excluded_by_group":        {titleNoAccess, "One of your groups opens {application}, and another one closes it."},
		"rule_expired":             {titleEnded, "Access through your groups was for a limited time, and that time is over."},
		"scope_unknown":            {titleNoAccess, "You are in a group for a part of {customer} that is not set up here."},
		"above_ceiling":            {titleNoAccess, "You are in a group that asks for more than {customer} may give here."},
		"ambiguous_group":          {titleNoAccess, "Two of your groups look like the same one, so neither opens {application}."},
		"certificate_lapsed":       {titleNoAccess, "Your technician certificate has ended. Renew it to get your access back."},
		"not_certified":            {titleNoAccess, "This access is for certified technicians, and no certificate of yours is on record."},
		"withheld":                 {titleEnded, "Your access was ended by a review of who needs what. Whoever administers it at {customer} can give it back."},
		session.ReasonExpired:      {titleEnded, "Your access was for a limited time, and that time is over."},
		"time_over":                {titleEnded, "Your access was for a limited time, and that time is over."},
		session.ReasonContact:      {titleNoAccess, "You are registered as a contact for fatigue calls. Contacts do not sign in."},
		reasonNotForApplication:    {titleNoAccess, "What you may do here does not include {application}."},
		"ambiguous":                {titleNoSignIn, "Two accounts at {customer} answer to your sign-in, so none was opened. An administrator must settle which one is yours."},
		"connection_paused":        {titleNoSignIn, "Sign-in for {customer} is paused."},
		"email_domain_mismatch":    {titleNoSignIn, "The address you typed and the account you signed in with belong to different companies."},
		"shadow":                   {titleNoAccess, "Access through your groups is being prepared and is not switched on yet."},
		session.ReasonNotYet:       {titleNoAccess, "Access has been given to you, but it has not begun yet."},
		"subject_mismatch":         {titleNoSignIn, "Your sign-in does not match the one that your account here was linked to. An administrator must look at it."},
		"client_disabled":          {titleNoAccess, "{application} is switched off here."},
		credential.ReasonUndecided: {"One moment", "What you may open is being worked out. Try again in a moment."},
		session.ReasonNotHeld:      {"That access is not yours to use now", "It may have ended since the page was shown. Choose another one."},
	}
}

// noSignIn: there is no telling who the person is.
func noSignIn() map[string]say {
	return map[string]say{
		upstream.ReasonIdP:     {titleNoSignIn, "The sign-in page of {customer} did not let you through. Try again; if it stays, your company can say why."},
		upstream.ReasonMixUp:   {titleNoSignIn, "The answer did not belong to this sign-in, so it was not used. Start again from the application."},
		upstream.ReasonToken:   {titleNoSignIn, "What the sign-in page of {customer} sent could not be verified, so it was not used."},
		upstream.ReasonStale:   {titleNoSignIn, "{application} asks you to sign in afresh, and the sign-in page of {customer} did not confirm that you did."},
		upstream.ReasonWeak:    {titleNoSignIn, "{product} asks for a stronger sign-in than the one that {customer} let you through with, such as one with a second step. An administrator of {customer} can set that up."},
		upstream.ReasonOver:    {titleNoSignIn, "Your sign-in at {customer} is over. Sign in there again, then come back."},
		oidc.ReasonUnmet:       {titleNoSignIn, "{application} asks for a stronger way of signing in, and the sign-in page of {customer} did not confirm it."},
		session.ReasonStepUp:   {titleNoSignIn, "This access asks for a stronger sign-in, and the sign-in page of {customer} did not confirm it."},
		oidc.ReasonConsent:     {titleNoAccess, "You have not allowed {application} what it asks for."},
		oidc.ReasonOtherPerson: {titleNoSignIn, "{application} asks for somebody else than you. Sign in with the other account."},
		upstream.ReasonSetUp:   {titleNoSignIn, "Sign-in between {customer} and {product} is not set up correctly. An administrator must look at it."},
		upstream.ReasonDown:    {"Sign-in does not answer", "The sign-in page of {customer} does not answer at the moment. Your access is not lost."},
		hot.ReasonLegs:         {"Too many tries", "This sign-in was tried too often. Go back to the application and start again."},
		upstream.ReasonUnknown: {titleNoSignIn, "There is no sign-in page for {customer} here."},
		"cancelled":            {titleNoSignIn, "The sign-in was cancelled."},
	}
}

// endings: a session that was, and why it is no more.
func endings() map[string]say {
	return map[string]say{
		session.EndDeactivated:   {titleEnded, "{customer} has switched your account off."},
		session.EndDeleted:       {titleEnded, "{customer} has removed your account."},
		session.EndNoAssignment:  {titleEnded, "What you could open here was taken back or has run out."},
		session.EndSignedOut:     {titleSignedOut, "You have signed out here. You may still be signed in at {customer}."},
		session.EndReplaced:      {titleSignedOut, "You signed in again in this browser, which ended the earlier sign-in."},
		session.EndExpired:       {titleSignedOut, "Your sign-in was too long ago. Sign in again."},
		session.EndConnection:    {titleEnded, "The link between {customer} and {product} has ended."},
		session.EndRefreshReused: {titleSignedOut, "For your safety you were signed out: something signed in as you was used twice. Sign in again."},
		session.EndSubject:       {titleSignedOut, "{customer} has changed your account. Sign in again."},
		session.EndAdministrator: {titleSignedOut, "An administrator has signed you out."},
		session.EndElsewhere:     {titleSignedOut, "You ended this sign-in from another browser."},
		session.EndIdPLogout:     {titleSignedOut, "You have signed out at {customer}, which ended your sign-in here. Sign in again to go on."},
		session.EndIdPRevoked:    {titleSignedOut, "{customer} has ended all your sign-ins. Sign in again to go on."},
		session.EndIdPExpired:    {titleSignedOut, "Your sign-in at {customer} has run out. Sign in again to go on."},
		session.EndIdPRefused:    {titleSignedOut, "{customer} no longer confirms your sign-in. Sign in again to go on."},
		session.EndIdPSilent:     {titleSignedOut, "{customer} could not be asked for a while whether your sign-in still stands. Sign in again to go on."},
		session.EndIdPSession:    {titleSignedOut, "{customer} has ended your sign-in. Sign in again to go on."},
		session.EndIdPDisabled:   {titleEnded, "{customer} says that your account there was switched off."},
		session.EndIdPCredential: {titleSignedOut, "What you sign in with at {customer} has changed. Sign in again to go on."},
	}
}

// stale: what the browser brought counts no more, and there is nothing else to say.
func stale() map[string]say {
	again := say{titleSignedOut, "Your sign-in here is over. Sign in again to go on."}
	all := map[string]say{}
	for _, reason := range []string{session.ReasonEnded, credential.ReasonMalformed, credential.ReasonSuperseded, credential.ReasonSubject,
		credential.ReasonEnded, "not_found"} {
		all[reason] = again
	}
	return all
}

// reasonNotForApplication is the one reason that only these pages give.
const reasonNotForApplication = "app_not_allowed_for_grant"

// sentence is what a reason says; one that nobody has worded yet gets a sentence
// that is true of all of them.
func sentence(reason string, n names) say {
	s, ok := sentences()[reason]
	if !ok {
		s = say{titleNoAccess, "You cannot be let in at the moment. Whoever looks after your access can find out why with the reference below."}
	}
	return say{s.Title, fill(s.Sentence, n)}
}

// Says is what a page tells somebody of a customer who is refused for that reason.
func (c *Console) Says(reason, customer string) string {
	return string(sentence(reason, names{Customer: Public(customer), Product: c.Product}).Sentence)
}
