// A web application behind drawbridge, with openid-client. Its title bar says what the
// person acts as, and lets them switch.
//
//   ISSUER CLIENT_ID CLIENT_SECRET PORT API_URL
//
// Registered at the bridge: redirect_uris http://127.0.0.1:PORT/callback,
// post_logout_redirect_uris http://127.0.0.1:PORT/
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as oidc from "openid-client";
import type { ActiveGrant } from "./guard.js";
import { need } from "./settings.js";

const port = Number(need("PORT"));
const base = `http://127.0.0.1:${port}`;
const issuer = new URL(need("ISSUER"));
const secret = need("CLIENT_SECRET");
const apiURL = need("API_URL");

const config = await oidc.discovery(issuer, need("CLIENT_ID"), secret, oidc.ClientSecretBasic(secret), {
  execute: issuer.protocol === "http:" ? [oidc.allowInsecureRequests] : [], // a bridge on this machine
});

interface Visit {
  pending?: { verifier: string; state: string; nonce: string };
  tokens?: { access: string; refresh?: string; id: string; until: number; grant: ActiveGrant; name: string };
}

const visits = new Map<string, Visit>();
const cookieName = "sample_visit";

function visitOf(request: IncomingMessage, response: ServerResponse): Visit {
  const [, id] = new RegExp(`(?:^|; )${cookieName}=([\\w-]+)`).exec(request.headers.cookie ?? "") ?? [];
  const known = id && visits.get(id);
  if (known) return known;
  const fresh: Visit = {};
  const name = randomBytes(24).toString("base64url");
  if (visits.size > 10_000) visits.clear();
  visits.set(name, fresh);
  response.setHeader("set-cookie", `${cookieName}=${name}; HttpOnly; SameSite=Lax; Path=/`);
  return fresh;
}

const escape = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function page(response: ServerResponse, status: number, title: string, body: string) {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store", "content-security-policy": "default-src 'none'" });
  response.end(`<!doctype html><title>${escape(title)}</title><header>${escape(title)}</header>${body}`);
}

function go(response: ServerResponse, to: string) {
  response.writeHead(303, { location: to });
  response.end();
}

// signIn sends the browser to the bridge. extra says more: prompt=select_account for
// the chooser, login_hint for who comes.
async function signIn(visit: Visit, response: ServerResponse, extra: Record<string, string>) {
  const verifier = oidc.randomPKCECodeVerifier();
  visit.pending = { verifier, state: oidc.randomState(), nonce: oidc.randomNonce() };
  go(response, oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${base}/callback`, scope: "openid profile live_view", state: visit.pending.state, nonce: visit.pending.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...extra,
  }).href);
}

function keep(visit: Visit, t: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers) {
  const claims = t.claims();
  if (!claims || !t.id_token) throw new Error("the bridge sent no ID token");
  visit.tokens = { access: t.access_token, refresh: t.refresh_token, id: t.id_token, until: Date.now() + 1000 * (t.expiresIn() ?? 0) - 10_000,
    grant: claims.active_grant as unknown as ActiveGrant, name: String(claims.name ?? claims.sub) };
}

// fresh gives an access token that has not expired. When the bridge refuses, the person
// has switched elsewhere, lost the grant or left: the visit is over.
async function fresh(visit: Visit): Promise<string | undefined> {
  if (visit.tokens && Date.now() > visit.tokens.until && visit.tokens.refresh) {
    try {
      keep(visit, await oidc.refreshTokenGrant(config, visit.tokens.refresh));
    } catch (error) {
      if (!(error instanceof oidc.ResponseBodyError)) throw error;
      delete visit.tokens;
    }
  }
  return visit.tokens?.access;
}

async function handle(request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", base);
  const visit = visitOf(request, response);
  switch (url.pathname) {
    case "/sign-in":
      return signIn(visit, response, Object.fromEntries([...url.searchParams].filter(([name]) => name === "login_hint" || name === "connection")));
    case "/switch":
      return signIn(visit, response, { prompt: "select_account" });
    case "/callback": {
      if (!visit.pending) return go(response, "/");
      const { verifier, state, nonce } = visit.pending;
      delete visit.pending;
      keep(visit, await oidc.authorizationCodeGrant(config, url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }));
      return go(response, "/");
    }
    case "/sign-out": {
      const hint = visit.tokens?.id;
      delete visit.tokens;
      return go(response, hint ? oidc.buildEndSessionUrl(config, { id_token_hint: hint, post_logout_redirect_uri: `${base}/` }).href : "/");
    }
    case "/vehicles": {
      const access = await fresh(visit);
      if (!access) return go(response, "/sign-in");
      const answer = await fetch(`${apiURL}/vehicles`, { headers: { authorization: `Bearer ${access}` }, signal: AbortSignal.timeout(5000) });
      if (answer.status === 401) delete visit.tokens; // it has been ended
      return page(response, answer.status, "Vehicles", `<pre>${escape(await answer.text())}</pre><a href="/">Back</a>`);
    }
    case "/": {
      const t = (await fresh(visit)) && visit.tokens;
      if (!t) return page(response, 200, "Fleet sample", '<a href="/sign-in">Sign in</a>');
      const acts = `${t.name}: ${t.grant.grant} at ${t.grant.scope.names.join(" / ")}`;
      return page(response, 200, acts, '<a href="/vehicles">Vehicles</a> <a href="/switch">Switch</a> <a href="/sign-out">Sign out</a>');
    }
  }
  return page(response, 404, "Not found", "");
}

const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    console.error(error);
    page(response, 502, "Something went wrong", '<a href="/">Back</a>');
  });
});
server.listen(port, "127.0.0.1", () => console.log("the application is ready"));
process.once("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
