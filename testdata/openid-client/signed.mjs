// What openid-client does beyond lane.mjs, by one application that has no secret: it
// signs (private_key_jwt), sends its requests ahead (PAR), binds its tokens to a key with
// a nonce of the server's (DPoP), exchanges tokens, and hears of sign-outs. Settings:
//
//   ISSUER CLIENT_ID REDIRECT_URI PRIVATE_KEY     the registered application; the key is a JWK
//   LOGIN_HINT CONNECTION                         a person with at least two grants, and their connection
//   RESOURCE                                      an audience beside its own
//   LOGOUT_PORT                                   where it is told of sign-outs
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRemoteJWKSet, decodeJwt, importJWK, jwtVerify } from "jose";
import * as oidc from "openid-client";
import { Browser } from "./browser.mjs";
import { need, passed, refused, step } from "./steps.mjs";

const issuer = need("ISSUER"), clientID = need("CLIENT_ID"), redirectURI = need("REDIRECT_URI"), resource = need("RESOURCE");
const key = JSON.parse(need("PRIVATE_KEY"));
const exchange = "urn:ietf:params:oauth:grant-type:token-exchange", accessToken = "urn:ietf:params:oauth:token-type:access_token";

const told = [], waiting = [];
const receiver = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const token = new URLSearchParams(body).get("logout_token");
  const next = waiting.shift();
  if (next) next(token);
  else told.push(token);
  response.end();
}).listen(Number(need("LOGOUT_PORT")), "127.0.0.1");
const logoutToken = () => (told.length ? told.shift() : new Promise((resolve) => waiting.push(resolve)));

const discover = async (metadata = {}) => {
  const signing = { key: await importJWK(key, "ES256"), kid: key.kid };
  const found = await oidc.discovery(new URL(issuer), clientID, metadata, oidc.PrivateKeyJwt(signing), { execute: [oidc.allowInsecureRequests] });
  oidc.enableNonRepudiationChecks(found);
  return found;
};
const config = await step("discovery", () => discover());
const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
const { jkt } = { jkt: await DPoP.calculateThumbprint() };
const browser = new Browser();

async function authorize(extra = {}, options = { DPoP }) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier(), expectedNonce = oidc.randomNonce(), expectedState = oidc.randomState();
  const at = await oidc.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: redirectURI, scope: "openid", state: expectedState, nonce: expectedNonce, resource,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256", ...extra,
  }, options);
  assert.deepEqual([...at.searchParams.keys()].sort(), ["client_id", "request_uri"], "the address says more than whose request it is");
  const callback = await browser.open(at, redirectURI);
  return oidc.authorizationCodeGrant(config, callback, { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }, undefined, options);
}

await step("a request that was not sent ahead is refused", async () => {
  const at = oidc.buildAuthorizationUrl(config, { redirect_uri: redirectURI, scope: "openid", code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256" });
  const back = await browser.open(at, redirectURI);
  assert.equal(back.searchParams.get("error"), "invalid_request");
});

await step("a request that is sent ahead is judged at once", () => refused(() => authorize({ prompt: "none login" }), "invalid_request"));

let tokens = await step("sign in: PAR, private_key_jwt, DPoP with a nonce, resource, claims", () =>
  authorize({ login_hint: need("LOGIN_HINT"), connection: need("CONNECTION"), claims: JSON.stringify({ userinfo: { email: { essential: true } }, id_token: { name: null } }) }));
const { sub, sid, name } = tokens.claims();

await step("the token is bound to the key, and for the resource", () => {
  const said = decodeJwt(tokens.access_token);
  assert.equal(tokens.token_type, "dpop");
  assert.equal(said.cnf.jkt, jkt);
  assert.equal(said.aud, resource);
});

await step("claims: what was asked by name is there, where it was asked for", async () => {
  assert.ok(name, "the ID token has no name");
  const info = await oidc.fetchUserInfo(config, tokens.access_token, sub, { DPoP });
  assert.equal(info.email, need("LOGIN_HINT"));
  assert.equal(info.name, undefined);
});

await step("the token is refused as a bearer's, and by another key", async () => {
  const at = config.serverMetadata().userinfo_endpoint;
  const bare = await fetch(at, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(bare.status, 401);
  const another = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
  const error = await oidc.fetchUserInfo(config, tokens.access_token, sub, { DPoP: another }).then(() => assert.fail("accepted"), (e) => e);
  assert.ok(!(error instanceof assert.AssertionError), "another key's proof was accepted");
});

await step("introspection, plain and signed", async () => {
  const plain = await oidc.tokenIntrospection(config, tokens.access_token);
  const signed = await oidc.tokenIntrospection(await discover({ introspection_signed_response_alg: "ES256" }), tokens.access_token);
  for (const said of [plain, signed]) {
    assert.equal(said.active, true);
    assert.equal(said.sub, sub);
    assert.equal(said.cnf.jkt, jkt);
  }
});

await step("refresh by the key; not without", async () => {
  await refused(() => oidc.refreshTokenGrant(config, tokens.refresh_token), "invalid_grant", "invalid_dpop_proof", "invalid_request");
  const next = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.notEqual(next.refresh_token, tokens.refresh_token);
  assert.equal(decodeJwt(next.access_token).cnf.jkt, jkt);
  tokens = next;
});

const grants = await step("the grants, to a proof of the key", async () => {
  const response = await oidc.fetchProtectedResource(config, tokens.access_token, new URL(`${issuer}/me/grants`), "GET", undefined, undefined, { DPoP });
  assert.equal(response.status, 200);
  return (await response.json()).grants;
});

await step("token exchange: less, then another grant", async () => {
  const subject = { subject_token: tokens.access_token, subject_token_type: accessToken };
  const less = await oidc.genericGrantRequest(config, exchange, { ...subject, scope: "openid" }, { DPoP });
  assert.equal(less.issued_token_type, accessToken);
  const active = decodeJwt(less.access_token).active_grant.id;
  const other = grants.find((g) => g.id !== active) ?? assert.fail("there is one grant only");
  const switched = await oidc.genericGrantRequest(config, exchange, { ...subject, scope: `openid grant:${other.id}` }, { DPoP });
  assert.equal(decodeJwt(switched.access_token).active_grant.id, other.id);
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false, "the token of the grant that was left lives");
  await refused(() => oidc.genericGrantRequest(config, exchange, { subject_token: switched.access_token, subject_token_type: accessToken, scope: "grant:asg_unknown" }, { DPoP }), "invalid_target");
  tokens = switched;
});

await step("the logout token of a sign-out holds", async () => {
  const { id_token } = await authorize();
  const waits = logoutToken();
  await fetch(oidc.buildEndSessionUrl(config, { id_token_hint: id_token }), { redirect: "manual", headers: { cookie: browser.cookies(issuer) } });
  const { payload, protectedHeader } = await jwtVerify(await waits, createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), {
    issuer, audience: clientID, typ: "logout+jwt", maxTokenAge: "2 minutes", requiredClaims: ["iat", "exp", "jti", "events"],
  });
  assert.deepEqual(payload.events["http://schemas.openid.net/event/backchannel-logout"], {});
  assert.equal(payload.nonce, undefined);
  assert.equal(payload.sid, sid);
  assert.equal(payload.sub, sub);
  assert.ok(protectedHeader.kid);
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false);
});

receiver.close();
passed();
