// Signs in, refreshes, introspects, switches grant and signs out with openid-client,
// a client that was not written for the bridge. One line for each step; the first
// failure ends it with status 1. It takes its settings from the environment:
//
//   ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI   the registered application
//   LOGIN_HINT CONNECTION                         a person with at least two grants, and their connection
//   POST_LOGOUT_REDIRECT_URI                      default: the origin of REDIRECT_URI and "/"
//   GRANTS_URL                                    default: ISSUER and "/me/grants"
import assert from "node:assert/strict";
import * as oidc from "openid-client";
import { Browser } from "./browser.mjs";
import { need, passed, refused, step } from "./steps.mjs";

const issuer = need("ISSUER"), redirectURI = need("REDIRECT_URI");
const clientID = need("CLIENT_ID"), clientSecret = need("CLIENT_SECRET");
const hint = need("LOGIN_HINT"), connection = need("CONNECTION");
const afterLogout = process.env.POST_LOGOUT_REDIRECT_URI || new URL("/", redirectURI).href;
const grantsURL = process.env.GRANTS_URL || `${issuer.replace(/\/$/, "")}/me/grants`;
const oauthScopes = "openid profile email offline_access";

const config = await step("discovery", async () => {
  const found = await oidc.discovery(new URL(issuer), clientID, clientSecret, oidc.ClientSecretBasic(clientSecret), {
    execute: new URL(issuer).protocol === "http:" ? [oidc.allowInsecureRequests] : [],
  });
  oidc.enableNonRepudiationChecks(found); // verify the signature of every ID token, not only its claims
  const server = found.serverMetadata();
  assert.equal(server.issuer, issuer);
  assert.ok(server.supportsPKCE(), "S256 is not announced");
  for (const name of ["introspection_endpoint", "end_session_endpoint", "userinfo_endpoint", "revocation_endpoint"]) assert.ok(server[name], `${name} is missing`);
  return found;
});

// authorize runs the code flow in a browser and gives the tokens and the callback.
async function authorize(browser, extra = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedNonce = oidc.randomNonce(), expectedState = oidc.randomState();
  const at = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectURI, scope: oauthScopes, state: expectedState, nonce: expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256", ...extra,
  });
  const callback = await browser.open(at, redirectURI);
  const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true };
  const tokens = await oidc.authorizationCodeGrant(config, callback, checks);
  return { tokens, callback, checks };
}

const signIn = (browser) => authorize(browser, { login_hint: hint, connection });
const introspect = (token) => oidc.tokenIntrospection(config, token);

function checkGrant(active) {
  assert.ok(active?.id, "there is no active_grant");
  for (const name of ["grant", "standing", "scope", "flags"]) assert.ok(active[name] !== undefined, `active_grant has no ${name}`);
  assert.ok(active.scope.names.length > 0 && active.scope.id, "the scope has no names or id");
}

const browser = new Browser();
let { tokens } = await step("sign in: code flow, PKCE S256, nonce, state", () => signIn(browser));
const { sub, sid } = tokens.claims();

await step("the ID token and the token answer say who, and as what", () => {
  assert.ok(sub && sid);
  checkGrant(tokens.claims().active_grant);
  assert.equal(tokens.token_type.toLowerCase(), "bearer");
  assert.ok(tokens.expires_in > 0 && tokens.expires_in <= 300, `the access token lives for ${tokens.expires_in} s`);
  assert.ok(tokens.refresh_token, "there is no refresh token");
});

await step("userinfo is the same person", async () => {
  const info = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  assert.ok(info.email, "the email scope gave no e-mail address");
});

await step("introspection agrees with the ID token", async () => {
  const said = await introspect(tokens.access_token);
  assert.equal(said.active, true);
  assert.equal(said.sub, sub);
  assert.equal(said.sid, sid);
  assert.deepEqual(said.active_grant, tokens.claims().active_grant);
});

await step("refresh gives new tokens for the same session and grant", async () => {
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.ok(next.refresh_token && next.refresh_token !== tokens.refresh_token, "the refresh token was not rotated");
  assert.notEqual(next.access_token, tokens.access_token);
  const said = await introspect(next.access_token);
  assert.equal(said.active, true);
  assert.equal(said.sid, sid);
  assert.equal(said.active_grant.id, tokens.claims().active_grant.id);
  tokens = Object.assign(next, { first: tokens });
});

await step("a retried refresh gets the same successor, an older token ends the whole family", async () => {
  const { tokens: first } = await signIn(new Browser());
  const second = await oidc.refreshTokenGrant(config, first.refresh_token);
  const retried = await oidc.refreshTokenGrant(config, first.refresh_token); // as after a lost answer
  assert.equal(retried.refresh_token, second.refresh_token, "a retry started a second chain");
  const third = await oidc.refreshTokenGrant(config, second.refresh_token);
  await refused(() => oidc.refreshTokenGrant(config, first.refresh_token), "invalid_grant");
  await refused(() => oidc.refreshTokenGrant(config, third.refresh_token), "invalid_grant");
  assert.equal((await introspect(third.access_token)).active, false);
});

await step("a code is good once", async () => {
  const { callback, checks } = await signIn(new Browser());
  await refused(() => oidc.authorizationCodeGrant(config, callback, checks), "invalid_grant");
});

await step("a revoked refresh token is refused", async () => {
  const { tokens: other } = await signIn(new Browser());
  await oidc.tokenRevocation(config, other.refresh_token);
  await refused(() => oidc.refreshTokenGrant(config, other.refresh_token), "invalid_grant");
});

await step("a request without PKCE, or with plain, is refused", async () => {
  for (const pkce of [{}, { code_challenge: oidc.randomPKCECodeVerifier(), code_challenge_method: "plain" }]) {
    const state = oidc.randomState();
    const at = oidc.buildAuthorizationUrl(config, { redirect_uri: redirectURI, scope: oauthScopes, state, nonce: oidc.randomNonce(), ...pkce });
    const back = await browser.open(at, redirectURI);
    assert.equal(back.searchParams.get("error"), "invalid_request");
    assert.equal(back.searchParams.get("state"), state);
  }
});

const other = await step("the list of grants shows the active one and others", async () => {
  const response = await fetch(grantsURL, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(response.status, 200);
  const { grants } = await response.json();
  grants.forEach(checkGrant);
  const active = tokens.first.claims().active_grant.id;
  assert.ok(grants.some((g) => g.id === active), "the active grant is not in the list");
  return grants.find((g) => g.id !== active) ?? assert.fail(`${hint} has one grant only: nothing to switch to`);
});

const left = tokens;
await step("switch: scope=grant:<id> gives tokens of the other grant", async () => {
  ({ tokens } = await authorize(browser, { scope: `${oauthScopes} grant:${other.id}` }));
  const claims = tokens.claims();
  assert.equal(claims.active_grant.id, other.id);
  assert.equal(claims.sub, sub);
  assert.equal(claims.sid, sid, "a switch keeps the session's sid");
  assert.ok(!/(^| )grant:/.test(tokens.scope ?? ""), "grant: is echoed in the returned scope");
  const said = await introspect(tokens.access_token);
  assert.equal(said.active, true);
  assert.equal(said.active_grant.id, other.id);
  assert.ok(other.standing !== "guest" || !(said.scope ?? "").split(" ").includes("reports"), "a guest grant opened reports");
});

await step("the tokens of the grant that was left are dead", async () => {
  assert.equal((await introspect(left.access_token)).active, false);
  await refused(() => oidc.refreshTokenGrant(config, left.refresh_token), "invalid_grant");
});

await step("sign out at the bridge and come back", async () => {
  const state = oidc.randomState();
  const at = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: afterLogout, state });
  const back = await browser.open(at, afterLogout);
  assert.equal(back.searchParams.get("state"), state);
});

await step("after sign-out everything is dead", async () => {
  assert.deepEqual(await introspect(tokens.access_token), { active: false });
  assert.equal((await introspect(tokens.refresh_token)).active, false);
  await refused(() => oidc.refreshTokenGrant(config, tokens.refresh_token), "invalid_grant");
  const info = await fetch(config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(info.status, 401);
  await refused(() => authorize(browser, { prompt: "none" }), "login_required");
});

passed();
