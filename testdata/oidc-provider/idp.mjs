// node oidc-provider as it is, with its own pages for development: whoever types a name
// is that person. One line of JSON on standard output for each thing that happened;
// the first is {"event":"ready"}. SETTINGS is JSON:
//
//   port                 of 127.0.0.1, where it listens
//   clients              registrations, as oidc-provider has them
//   wrongAudienceFor     whoever signs in by this name gets an ID token for clients[1]
//
// A name on a line of standard input: all that this person has consented to is over.
import { createInterface } from "node:readline";
import Provider, { interactionPolicy } from "oidc-provider";

const { port, clients, wrongAudienceFor } = JSON.parse(process.env.SETTINGS);
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: "select_account", requestable: true }), 0);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  scopes: ["openid", "offline_access"],
  responseTypes: ["code"],
  allowOmittingSingleRegisteredRedirectUri: false,
  enableHttpPostMethods: true,
  interactions: { policy },
  claims: { openid: ["sub", "sid", "auth_time"], email: ["email"], profile: ["name"] },
  clientAuthMethods: ["client_secret_basic", "client_secret_post"],
  features: { claimsParameter: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: id, name: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
  pkce: { required: () => true },
  // Its own guard lets nothing reach this machine; here everything is on it.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  cookies: { keys: ["of a test"], long: { sameSite: "none" } },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
});

// An ID token that is good in all but its audience, by the provider's own hand.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route !== "token" || ctx.oidc.account?.accountId !== wrongAudienceFor || !ctx.body?.id_token) return;
  const token = new provider.IdToken({ sub: wrongAudienceFor }, { ctx, client: await provider.Client.find(clients[1].client_id) });
  token.scope = "openid";
  for (const name of ["nonce", "at_hash", "sid", "auth_time"]) {
    const { [name]: value } = JSON.parse(Buffer.from(ctx.body.id_token.split(".")[1], "base64url"));
    if (value !== undefined) token.set(name, value);
  }
  ctx.body.id_token = await token.issue({ use: "idtoken" });
});

const grants = []; // [person, id]
provider.on("grant.success", (ctx) => {
  grants.push([ctx.oidc.account.accountId, ctx.oidc.entities.Grant.jti]);
  say("grant", { type: ctx.oidc.params.grant_type, client: ctx.oidc.client.clientId, who: ctx.oidc.account.accountId });
});
createInterface({ input: process.stdin }).on("line", async (name) => {
  for (const [who, id] of grants) if (who === name) await provider.RefreshToken.revokeByGrantId(id);
  say("over", { who: name });
});
provider.on("grant.error", (ctx, error) => say("refused", { type: ctx.oidc.params?.grant_type, error: error.message }));
provider.on("backchannel.success", (_, client) => say("told", { client: client.clientId }));
provider.on("backchannel.error", (_, error, client) => say("not told", { client: client.clientId, error: String(error) }));
provider.on("server_error", (_, error) => say("broken", { error: error.stack }));
provider.listen(port, "127.0.0.1", () => say("ready"));
