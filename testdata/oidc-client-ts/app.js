// A single-page application by oidc-client-ts. /settings.json has by name what a
// UserManager is made of; the name of the one in use stands in the session's storage.
// What becomes of a callback is shown by the title.
const settings = fetch("/settings.json").then((response) => response.json());

async function manager() {
  const { dpop, ...own } = (await settings)[sessionStorage.getItem("application")];
  const bound = dpop && { dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() } };
  return new oidc.UserManager({ ...own, ...bound, userStore: new oidc.WebStorageStateStore({ store: sessionStorage }) });
}

async function use(application, parameters) {
  sessionStorage.setItem("application", application);
  await (await manager()).signinRedirect(parameters);
}

// user is what is kept of whoever is signed in, for the test to read.
async function user() {
  const { access_token, refresh_token, token_type, scope, profile } = await (await manager()).getUser();
  return { access_token, refresh_token, token_type, scope, profile };
}

// userinfo asks by a proof of the key's where the token is bound to one.
async function userinfo() {
  const m = await manager(), held = await m.getUser(), to = await m.metadataService.getUserInfoEndpoint();
  const ask = async (nonce) => {
    const proof = m.settings.dpop && (await m.dpopProof(to, held, "GET", nonce));
    return fetch(to, { headers: { authorization: `${held.token_type} ${held.access_token}`, ...(proof && { dpop: proof }) } });
  };
  let answer = await ask();
  if (answer.status === 401 && answer.headers.get("dpop-nonce")) answer = await ask(answer.headers.get("dpop-nonce"));
  return { status: answer.status, ...(await answer.json()) };
}

// outcome is a promise's result, or the name and text of what went wrong.
const outcome = (promise) => promise.then((value) => value ?? null, (error) => ({ failed: `${error.name} ${error.error ?? ""} ${error.message}` }));

if (location.pathname === "/callback") {
  manager().then((m) => m.signinCallback()).then(
    () => { document.title = "signed in"; },
    (error) => { document.title = `not signed in: ${error.error ?? error}`; },
  );
}
