// An API behind drawbridge. It shows vehicles to whoever acts at their scope or above.
//
//   ISSUER AUDIENCE CLIENT_ID CLIENT_SECRET PORT
//
// SCOPE is the id of the scope that the vehicles belong to; without it they belong to
// whatever scope the active grant is at.
import { createServer } from "node:http";
import { Guard, Refused } from "./guard.js";
import { need } from "./settings.js";

const guard = new Guard(need("ISSUER"), need("AUDIENCE"), need("CLIENT_ID"), need("CLIENT_SECRET"));
const running = guard.run();

const server = createServer(async (request, response) => {
  const problem = (status: number, challenge: string, more: object = {}) => {
    response.writeHead(status, { "content-type": "application/problem+json", ...(challenge && { "www-authenticate": challenge }) });
    response.end(JSON.stringify({ type: "about:blank", status, ...more }));
  };
  const [, text] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!text) return problem(401, 'Bearer realm="api"');
  try {
    const token = await guard.check(text);
    const { scope } = token.grant;
    // A grant reaches a vehicle if it is at the vehicle's scope or at one above it. Ids
    // are compared, never paths.
    const reaches = !process.env.SCOPE || scope.id === process.env.SCOPE;
    if (!reaches || !token.workflows.includes("live_view")) {
      return problem(403, 'Bearer realm="api", error="insufficient_scope", scope="live_view"', { switch_url: `${guard.issuer}/me/`, active_grant: token.grant });
    }
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify({ vehicles: [{ id: "truck-1", seen_by: token.sub, under: token.grant.grant, at: scope.names.at(-1) }] }));
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    const status = error instanceof Refused ? error.status : 500;
    problem(status, status === 401 ? 'Bearer realm="api", error="invalid_token"' : "");
  }
});

server.listen(Number(need("PORT")), "127.0.0.1", () => console.log("the API is ready"));
process.once("SIGTERM", async () => {
  guard.stop();
  server.close();
  server.closeAllConnections();
  await running;
});
