package config

import "github.com/invopop/jsonschema"

// The configuration file as editors are told about it. Types here are not read into:
// the loader is stricter, and says what is wrong better. A test holds the keys of both
// against each other. What a key means stands in docs/configuration.md, in the table
// that docsOf names.

type form struct {
	Version     int                       `json:"version" jsonschema:"required,enum=1"`
	Vendor      formVendor                `json:"vendor" jsonschema:"required"`
	Server      formServer                `json:"server"`
	Sessions    formSessions              `json:"sessions"`
	Keys        formKeys                  `json:"keys"`
	Database    formDatabase              `json:"database"`
	Hot         formHot                   `json:"hot"`
	Clients     []formClient              `json:"clients"`
	Scopes      formScopes                `json:"scopes"`
	ScopesFile  string                    `json:"scopes_file"`
	Connections map[string]formConnection `json:"connections"`
	Attributes  map[string]formAttribute  `json:"attributes"`
	Conditions  map[string]string         `json:"conditions"`
	Grants      formGrants                `json:"grants"`
	Risk        formRisk                  `json:"risk"`
	Rules       []formRule                `json:"rules"`
	Guard       formGuard                 `json:"guard"`
	Requests    formRequests              `json:"requests"`
	Reviews     []formReview              `json:"reviews"`
	Tests       []formTest                `json:"tests"`
	Webhooks    []formWebhook             `json:"webhooks"`
}

type formVendor struct {
	Name    string      `json:"name" jsonschema:"required" jsonschema_description:"the name of the vendor, and of the host scope"`
	Support formSupport `json:"support" jsonschema_description:"whom people without access may ask"`
}

type formSupport struct {
	Name  string `json:"name" jsonschema_description:"what the support is called"`
	Email string `json:"email" jsonschema:"format=email" jsonschema_description:"where people without access may write"`
	Hours string `json:"hours" jsonschema_description:"when it answers"`
}

type formServer struct {
	Listen         string       `json:"listen"`
	PublicURL      string       `json:"public_url" jsonschema:"format=uri"`
	MetricsListen  string       `json:"metrics_listen"`
	Data           string       `json:"data"`
	TLS            formTLS      `json:"tls"`
	Log            formLog      `json:"log"`
	TrustedProxies []string     `json:"trusted_proxies"`
	SCIMRate       formRate     `json:"scim_rate"`
	SignInRate     formDoorRate `json:"sign_in_rate"`
	ClientFailures formDoorRate `json:"client_failures"`
	SCIMLog        int          `json:"scim_log" jsonschema:"minimum=0,maximum=20000"`
	Drain          formDuration `json:"drain"`
	Node           string       `json:"node"`
}

type formTLS struct {
	CertFile string `json:"cert_file" jsonschema:"required" jsonschema_description:"the file with the certificate chain (PEM)"`
	KeyFile  string `json:"key_file" jsonschema:"required" jsonschema_description:"the file with the private key (PEM)"`
}

type formLog struct {
	Level string `json:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"how much is logged: debug, info, warn, error"`
}

type formRate struct {
	PerSecond int `json:"per_second" jsonschema:"required,minimum=25,maximum=1000000" jsonschema_description:"how many requests for as long as it likes"`
	Burst     int `json:"burst" jsonschema:"minimum=25,maximum=1000000000" jsonschema_description:"how many at once after it has been silent"`
}

type formDoorRate struct {
	PerSecond int `json:"per_second" jsonschema:"required,minimum=1,maximum=1000000" jsonschema_description:"how many for as long as they like"`
	Burst     int `json:"burst" jsonschema:"minimum=1,maximum=1000000000" jsonschema_description:"how many at once after silence"`
}

type formSessions struct {
	AccessToken formDuration `json:"access_token"`
	Absolute    formDuration `json:"absolute"`
	Refresh     formDuration `json:"refresh"`
	Offline     formDuration `json:"offline"`
	DPoPNonce   string       `json:"dpop_nonce" jsonschema:"enum=optional,enum=required"`
}

type formKeys struct {
	Rotate       formDuration `json:"rotate"`
	PublishAhead formDuration `json:"publish_ahead"`
	Keep         formDuration `json:"keep"`
	Root         formRoot     `json:"root"`
}

type formDatabase struct {
	URL          string `json:"url"`
	Password     string `json:"password"`
	PasswordFile string `json:"password_file"`
	PasswordEnv  string `json:"password_env"`
	CAFile       string `json:"ca_file"`
	Pool         int    `json:"pool" jsonschema:"minimum=4,maximum=200"`
	Migrate      bool   `json:"migrate"`
}

type formHot struct {
	URL                    string `json:"url" jsonschema:"required"`
	Password               string `json:"password"`
	PasswordFile           string `json:"password_file"`
	PasswordEnv            string `json:"password_env"`
	SentinelUsername       string `json:"sentinel_username"`
	SentinelPassword       string `json:"sentinel_password"`
	SentinelPasswordFile   string `json:"sentinel_password_file"`
	SentinelPasswordEnv    string `json:"sentinel_password_env"`
	CAFile                 string `json:"ca_file"`
	CertFile               string `json:"cert_file"`
	KeyFile                string `json:"key_file"`
	InsecureAllowPlaintext bool   `json:"insecure_allow_plaintext"`
}

type formRoot struct {
	File    string       `json:"file"`
	Command []string     `json:"command" jsonschema:"minItems=1"`
	Timeout formDuration `json:"timeout"`
}

type formClient struct {
	ID                     string         `json:"id" jsonschema:"required"`
	Name                   string         `json:"name" jsonschema:"required"`
	Public                 bool           `json:"public"`
	Secret                 string         `json:"secret"`
	SecretFile             string         `json:"secret_file"`
	SecretEnv              string         `json:"secret_env"`
	JWKSFile               string         `json:"jwks_file"`
	JWKSURI                string         `json:"jwks_uri" jsonschema:"format=uri"`
	RedirectURIs           []string       `json:"redirect_uris"`
	PostLogoutRedirectURIs []string       `json:"post_logout_redirect_uris"`
	Origins                []string       `json:"origins"`
	BackchannelLogoutURI   string         `json:"backchannel_logout_uri" jsonschema:"format=uri"`
	FrontchannelLogoutURI  string         `json:"frontchannel_logout_uri" jsonschema:"format=uri"`
	GrantTypes             []string       `json:"grant_types"`
	Grants                 []formGrant    `json:"grants"`
	Scopes                 []formWorkflow `json:"scopes"`
	ServiceScopes          []string       `json:"service_scopes"`
	SignalsOfEverybody     bool           `json:"signals_of_everybody"`
	OfflineAccess          bool           `json:"offline_access"`
	Resources              []string       `json:"resources"`
	InsecureNoPKCE         bool           `json:"insecure_no_pkce"`
	RequirePAR             bool           `json:"require_par"`
	RequireDPoP            bool           `json:"require_dpop"`
	Consent                bool           `json:"consent"`
	Audience               string         `json:"audience"`
	IDTokenAlg             string         `json:"id_token_alg" jsonschema:"enum=ES256,enum=RS256"`
	AccessTokenAlg         string         `json:"access_token_alg" jsonschema:"enum=ES256,enum=RS256"`
	AccessToken            formDuration   `json:"access_token"`
	Refresh                formDuration   `json:"refresh"`
	PairwiseSector         string         `json:"pairwise_sector"`
}

type formWebhook struct {
	Name               string   `json:"name" jsonschema:"required"`
	URL                string   `json:"url" jsonschema:"required,format=uri"`
	Secret             string   `json:"secret"`
	SecretFile         string   `json:"secret_file"`
	SecretEnv          string   `json:"secret_env"`
	PreviousSecret     string   `json:"previous_secret"`
	PreviousSecretFile string   `json:"previous_secret_file"`
	PreviousSecretEnv  string   `json:"previous_secret_env"`
	Events             []string `json:"events" jsonschema:"required"`
	Connections        []string `json:"connections"`
}

// formScope has the keys of every scope.
type formScope struct {
	Name    string      `json:"name" jsonschema:"required"`
	ID      string      `json:"id"`
	Was     []string    `json:"was"`
	Retired formInstant `json:"retired"`
}

type formProvider struct {
	formScope
	Accounts map[string]formAccount `json:"accounts"`
}

type formAccount struct {
	formScope
	Fleets map[string]formFleet `json:"fleets"`
}

type formFleet struct {
	formScope
	TimeZone string `json:"timezone" jsonschema:"required"`
	Location string `json:"location"`
}

type formConnection struct {
	IdP     string      `json:"idp" jsonschema:"required"`
	Name    string      `json:"name" jsonschema:"required"`
	Domains []string    `json:"domains"`
	Root    string      `json:"root"`
	Ceiling formCeiling `json:"ceiling" jsonschema:"required"`
	Contact string      `json:"contact" jsonschema:"format=email"`
	Trust   []string    `json:"trust"`
	SCIM    formSCIM    `json:"scim"`
	SignIn  formSignIn  `json:"sign_in"`
}

type formCeiling struct {
	Scope  string      `json:"scope" jsonschema:"required" jsonschema_description:"the path of the scope that all its rules give lies in"`
	Grants []formGrant `json:"grants" jsonschema:"required" jsonschema_description:"the grants that its rules may give"`
}

type formSCIM struct {
	Strict         bool           `json:"strict"`
	RawToken       bool           `json:"raw_token"`
	PatchedUsers   string         `json:"patched_users" jsonschema:"enum=resource,enum=version"`
	PatchedGroups  string         `json:"patched_groups" jsonschema:"enum=resource,enum=version"`
	Networks       []string       `json:"networks"`
	UnknownMembers string         `json:"unknown_members" jsonschema:"enum=keep,enum=refuse"`
	Rate           formRate       `json:"rate"`
	JWKSFile       string         `json:"jwks_file"`
	JWKSURI        string         `json:"jwks_uri" jsonschema:"format=uri"`
	Federation     formFederation `json:"federation"`
	Extensions     formExtensions `json:"extensions"`
}

type formFederation struct {
	Issuer          string   `json:"issuer" jsonschema:"required,format=uri"`
	Subject         string   `json:"subject" jsonschema:"required"`
	Audience        []string `json:"audience" jsonschema:"required"`
	TenantID        string   `json:"tenant_id"`
	ObjectID        string   `json:"object_id"`
	AuthorizedParty string   `json:"authorized_party"`
	Version         string   `json:"version"`
	JWKSURI         string   `json:"jwks_uri" jsonschema:"format=uri"`
}

type formExtensions struct {
	User  []formExtension `json:"user"`
	Group []formExtension `json:"group"`
}

type formExtension struct {
	File     string `json:"file" jsonschema:"required"`
	Required bool   `json:"required"`
}

type formSignIn struct {
	Issuer           string `json:"issuer" jsonschema:"required,format=uri"`
	ClientID         string `json:"client_id" jsonschema:"required"`
	ClientSecret     string `json:"client_secret"`
	ClientSecretFile string `json:"client_secret_file"`
	ClientSecretEnv  string `json:"client_secret_env"`
	SubjectClaim     string `json:"subject_claim"`
	TenantID         string `json:"tenant_id"`

	ClientAuthentication string `json:"client_authentication" jsonschema:"enum=client_secret_basic,enum=client_secret_post,enum=private_key_jwt"`
	AssertionAudience    string `json:"assertion_audience" jsonschema:"enum=token_endpoint,enum=issuer"`

	Scopes                  []string `json:"scopes"`
	Prompt                  string   `json:"prompt" jsonschema:"enum=login,enum=select_account"`
	ACRValues               []string `json:"acr_values"`
	RequireACR              []string `json:"require_acr"`
	RequireAMR              []string `json:"require_amr"`
	AuthTimeClaim           string   `json:"auth_time_claim"`
	InsecureAuthTimeFromIat bool     `json:"insecure_auth_time_from_iat"`
	Probe                   string   `json:"probe"`
	ProbeGrace              string   `json:"probe_grace"`

	Revocation formRevocation `json:"revocation"`
	Signals    formSignals    `json:"signals"`
}

type formSignals struct {
	Issuer               string   `json:"issuer" jsonschema:"required,format=uri"`
	ConfigurationURL     string   `json:"configuration_url" jsonschema:"format=uri"`
	Delivery             string   `json:"delivery" jsonschema:"enum=poll,enum=push"`
	Every                string   `json:"every"`
	BearerSecret         string   `json:"bearer_secret"`
	BearerSecretFile     string   `json:"bearer_secret_file"`
	BearerSecretEnv      string   `json:"bearer_secret_env"`
	ClientID             string   `json:"client_id"`
	ClientSecret         string   `json:"client_secret"`
	ClientSecretFile     string   `json:"client_secret_file"`
	ClientSecretEnv      string   `json:"client_secret_env"`
	ClientAuthentication string   `json:"client_authentication" jsonschema:"enum=client_secret_basic,enum=client_secret_post,enum=private_key_jwt"`
	TokenEndpoint        string   `json:"token_endpoint" jsonschema:"format=uri"`
	Scopes               []string `json:"scopes"`
	Events               []string `json:"events"`
	OnCredentialChange   string   `json:"on_credential_change" jsonschema:"enum=ignore,enum=end_sessions"`
}

type formRevocation struct {
	Issuer   string `json:"issuer" jsonschema:"required,format=uri"`
	ClientID string `json:"client_id"`
	KeysURI  string `json:"jwks_uri" jsonschema:"format=uri"`
}

type formAttribute struct {
	From string `json:"from" jsonschema:"required" jsonschema_description:"the path of the SCIM attribute"`
}

type formGrants struct {
	Associate     formContactTerms `json:"associate" jsonschema_description:"a contact, who never signs in"`
	Technician    formTerms        `json:"technician" jsonschema_description:"needs a certification in date"`
	Standard      formTerms        `json:"standard" jsonschema_description:"most people"`
	Elevated      formTerms        `json:"elevated" jsonschema_description:"settings and addresses"`
	Administrator formTerms        `json:"administrator" jsonschema_description:"administers users and settings"`
}

type formContactTerms struct {
	PublicName        string   `json:"public_name"`
	PublicDescription string   `json:"public_description"`
	Risk              formHarm `json:"risk"`
}

type formTerms struct {
	formContactTerms
	Workflows []formWorkflow `json:"workflows"`
	ACR       []string       `json:"acr" jsonschema:"maxItems=16"`
	MaxAge    formDuration   `json:"max_age"`
}

type formRisk struct {
	Scope formScopeRisk `json:"scope"`
	Flags formFlagRisk  `json:"flags"`
}

type formScopeRisk struct {
	Fleet           formHarm `json:"fleet" jsonschema_description:"the risk of a grant at a fleet"`
	Account         formHarm `json:"account" jsonschema_description:"the risk of a grant at an account"`
	ServiceProvider formHarm `json:"service_provider" jsonschema_description:"the risk of a grant at a service provider"`
	Host            formHarm `json:"host" jsonschema_description:"the risk of a grant at the host"`
}

type formFlagRisk struct {
	Events formEventRisk `json:"events" jsonschema_description:"what the events flag raises the risk to"`
	Video  formHarm      `json:"video" jsonschema_description:"the risk that video raises it to"`
}

type formEventRisk struct {
	Standard   formHarm `json:"standard" jsonschema_description:"the risk that events: standard raises it to"`
	Restricted formHarm `json:"restricted" jsonschema_description:"the risk that events: restricted raises it to"`
}

type formRule struct {
	ID        string         `json:"id" jsonschema:"required"`
	From      string         `json:"from" jsonschema:"required"`
	Group     string         `json:"group" jsonschema:"oneof_required=group"`
	GroupID   string         `json:"group_id" jsonschema:"oneof_required=group_id"`
	All       []formGroupRef `json:"all" jsonschema:"oneof_required=all"`
	Any       []formGroupRef `json:"any" jsonschema:"oneof_required=any"`
	None      []formGroupRef `json:"none"`
	When      string         `json:"when"`
	Give      string         `json:"give" jsonschema:"anyof_required=give"`
	Guest     []string       `json:"guest" jsonschema:"anyof_required=guest"`
	Flags     formFlags      `json:"flags"`
	For       formDuration   `json:"for"`
	NotBefore formInstant    `json:"not_before"`
	Until     formInstant    `json:"until"`
	Expires   formInstant    `json:"expires"`
	Mode      string         `json:"mode" jsonschema:"enum=enforce,enum=shadow"`
	Note      string         `json:"note"`
	Owner     string         `json:"owner"`
}

type formFlags struct {
	Events string `json:"events" jsonschema:"enum=none,enum=standard,enum=restricted" jsonschema_description:"which events may be seen: none, standard or restricted"`
	Video  bool   `json:"video" jsonschema_description:"whether video from the vehicles may be seen"`
}

type formGroupRef struct {
	Group   string `json:"group" jsonschema_description:"the display name, compared without regard to case"`
	GroupID string `json:"group_id" jsonschema_description:"the immutable external id"`
}

type formGuard struct {
	Losing         formShare `json:"max_people_losing"`
	WithoutAccess  formShare `json:"max_people_without_access"`
	Administrators int       `json:"keep_administrators" jsonschema:"minimum=0,maximum=1000"`
	Alarm          formAlarm `json:"alarm"`
}

type formAlarm struct {
	Gaining formShare    `json:"people_gaining"`
	Shrunk  formShare    `json:"group_shrunk"`
	Deleted formShare    `json:"group_deleted"`
	Within  formDuration `json:"within"`
}

type formRequests struct {
	Require    []formRequirement `json:"require" jsonschema:"minItems=1"`
	Within     formDuration      `json:"within"`
	Remind     []formDuration    `json:"remind" jsonschema:"maxItems=8"`
	Classes    []formClass       `json:"classes" jsonschema:"maxItems=64"`
	BreakGlass formGlass         `json:"break_glass"`
}

type formClass struct {
	Name      string            `json:"name" jsonschema:"required"`
	Grants    []formGrant       `json:"grants"`
	Scopes    []formLevel       `json:"scopes"`
	Outside   bool              `json:"outside"`
	Approvers string            `json:"approvers" jsonschema:"enum=scope_administrators,enum=service_owners"`
	Need      int               `json:"need" jsonschema:"minimum=1,maximum=2"`
	Longest   formDuration      `json:"longest"`
	Permanent bool              `json:"permanent"`
	Require   []formRequirement `json:"require" jsonschema:"minItems=1"`
}

type formGlass struct {
	Grants  []formGrant  `json:"grants" jsonschema:"required"`
	Longest formDuration `json:"longest"`
	Need    int          `json:"need" jsonschema:"minimum=1,maximum=2"`
	Within  formDuration `json:"within"`
}

type formReview struct {
	Name       string         `json:"name" jsonschema:"required"`
	Select     string         `json:"select" jsonschema:"required"`
	Every      formDuration   `json:"every" jsonschema:"required"`
	Within     formDuration   `json:"within"`
	Reviewers  string         `json:"reviewers" jsonschema:"enum=scope_administrators,enum=service_owners"`
	Unanswered string         `json:"unanswered" jsonschema:"enum=keep,enum=remove"`
	Remind     []formDuration `json:"remind" jsonschema:"maxItems=8"`
}

type formTest struct {
	Name      string      `json:"name" jsonschema:"required"`
	As        formPerson  `json:"as" jsonschema:"required"`
	At        formInstant `json:"at"`
	Primary   string      `json:"primary"`
	Guests    []string    `json:"guests"`
	Sees      []string    `json:"sees"`
	NeverSees []string    `json:"never_sees"`
	MaySignIn bool        `json:"may_sign_in"`
}

type formPerson struct {
	From          string            `json:"from" jsonschema:"required"`
	Email         string            `json:"email" jsonschema:"format=email"`
	Groups        []formTestGroup   `json:"groups"`
	Inactive      bool              `json:"inactive"`
	Certification formCertification `json:"certification"`
}

// JSONSchemaExtend lets the policy's attributes stand beside the keys that all have.
func (formPerson) JSONSchemaExtend(s *jsonschema.Schema) {
	s.AdditionalProperties = jsonschema.TrueSchema
}

type formTestGroup struct {
	Group   string      `json:"group" jsonschema_description:"the display name"`
	GroupID string      `json:"group_id" jsonschema_description:"the external id"`
	Since   formInstant `json:"since" jsonschema_description:"the instant of joining"`
}

type formCertification struct {
	Level string      `json:"level" jsonschema:"required" jsonschema_description:"the level of the certification"`
	Until formInstant `json:"until" jsonschema_description:"the instant at which it ends"`
}

// docsOf is the table of docs/configuration.md in which the keys of a form are
// explained: its heading, or what stands behind "Under". Keys of forms that are not
// here are explained in the row of the key that they stand under.
func docsOf() map[string]string {
	return map[string]string{
		"form": "The keys", "formServer": "server", "formSessions": "sessions", "formKeys": "keys", "formRoot": "keys.root", "formDatabase": "database", "formHot": "hot", "formClient": "clients", "formScope": "scopes",
		"formProvider": "scopes", "formAccount": "scopes", "formFleet": "scopes", "formConnection": "connections", "formSCIM": "scim",
		"formFederation": "scim.federation", "formExtensions": "scim.extensions", "formExtension": "scim.extensions", "formSignIn": "sign_in", "formRevocation": "sign_in.revocation", "formSignals": "sign_in.signals",
		"formContactTerms": "a grant", "formTerms": "a grant", "formRisk": "risk", "formRule": "rules", "formGuard": "guard", "formAlarm": "alarm",
		"formRequests": "requests", "formClass": "requests.classes", "formGlass": "requests.break_glass", "formReview": "reviews",
		"formTest": "tests", "formPerson": "as", "formWebhook": "webhooks",
	}
}
