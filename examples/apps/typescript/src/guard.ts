// Verifies drawbridge's access tokens without asking, and follows the feed of
// revocations, so that a token ends here when it is ended there. What the feed says is
// described in docs/applications.md; oidc/resource does the same in Go.
import { createRemoteJWKSet, jwtVerify, type JWTPayload } from "jose";

export interface ActiveGrant {
  id: string;
  grant: string;
  standing: string;
  scope: { id: string; level: string; path: string; ancestor_ids: string[]; names: string[] };
}

export interface Token {
  sub: string;
  workflows: string[];
  grant: ActiveGrant;
}

interface Change { claim: string; id?: string; epoch: number; ended?: boolean; ask?: number; until?: number }
interface Page { cursor: string; at: number; reset?: boolean; more?: boolean; changes: Change[] }
interface Mark extends Change { turn: number; heard: number }
interface Answer { active: boolean; scope?: string; active_grant?: ActiveGrant }

export class Refused extends Error {
  constructor(readonly status: 401 | 503) {
    super(status === 401 ? "the access token does not count" : "nobody knows whether the access token counts");
  }
}

const lease = 10_000; // ms for which the feed may be silent
const memory = 12 * 60_000; // ms after which no token is left that a change was about
const now = () => Math.floor(Date.now() / 1000);

export class Guard {
  #keys;
  #marks = new Map<string, Mark>();
  #asked = new Map<string, { turn: number; exp: number; answer: Answer }>();
  #turn = 0;
  #cursor = "";
  #heard = 0; // ms
  #own = { token: "", until: 0 };
  #stop = new AbortController();

  constructor(readonly issuer: string, readonly audience: string, readonly clientID: string, readonly clientSecret: string) {
    this.#keys = createRemoteJWKSet(new URL(`${issuer}/oauth2/keys`));
  }

  // check says what a token stands for, if it counts now.
  async check(text: string): Promise<Token> {
    const claims = await this.#verify(text);
    const said = this.#judge(claims);
    if (said === "dead") throw new Refused(401);
    if (Date.now() - this.#heard > lease) return token(claims, await this.#ask(text));
    if (said === "counts") return token(claims);
    const kept = this.#asked.get(text);
    if (kept && kept.turn >= said.turn) return token(claims, kept.answer);
    const turn = this.#turn; // before the question: what comes after it is not in the answer
    const answer = await this.#ask(text);
    if (this.#asked.size > 10_000) this.#asked.clear();
    this.#asked.set(text, { turn, exp: claims.exp!, answer });
    return token(claims, answer);
  }

  // run follows the feed until stop.
  async run(): Promise<void> {
    for (let pause = 100; !this.#stop.signal.aborted; ) {
      try {
        this.#apply(await this.#next());
        pause = 100;
      } catch (error) {
        this.#own.token = ""; // it may have ended
        if (!this.#stop.signal.aborted) console.error("feed of revocations:", error);
        await new Promise((done) => setTimeout(done, pause));
        pause = Math.min(2 * pause, 5000);
      }
    }
  }

  stop() { this.#stop.abort(); }

  async #verify(text: string): Promise<JWTPayload & Record<string, unknown>> {
    try {
      const { payload } = await jwtVerify(text, this.#keys, {
        issuer: this.issuer, audience: this.audience, typ: "at+jwt", algorithms: ["ES256", "RS256"], requiredClaims: ["sub", "sid", "iat", "exp", "client_id", "connection", "epochs", "active_grant"],
      });
      // This API takes bearer tokens alone: one that is bound to a key needs its proof.
      if (payload.cnf || !Array.isArray(payload.epochs) || payload.epochs.length !== 5) throw new Refused(401);
      return payload;
    } catch (error) {
      if (error instanceof TypeError || (error as { code?: string }).code === "ERR_JWKS_TIMEOUT") throw new Refused(503);
      throw new Refused(401);
    }
  }

  #judge(claims: Record<string, unknown>): "dead" | "counts" | { turn: number } {
    const epochs = claims.epochs as number[];
    const iat = claims.iat as number;
    let turn = 0;
    for (const [i, claim] of ["host", "connection", "client_id", "sub", "sid", "family"].entries()) {
      const mark = this.#marks.get(claim === "host" ? "host " : `${claim} ${String(claims[claim])}`);
      if (!mark) continue;
      if (mark.ended || (i < epochs.length && epochs[i]! < mark.epoch) || (mark.until && now() >= mark.until && iat < mark.until)) return "dead";
      if (mark.ask && iat <= mark.ask) turn = Math.max(turn, mark.turn);
    }
    return turn > 0 ? { turn } : "counts";
  }

  #apply(page: Page) {
    this.#turn++;
    this.#cursor = page.cursor;
    if (!page.more) this.#heard = Date.now();
    if (page.reset || this.#marks.size > 100_000) {
      this.#marks.clear();
      this.#put({ claim: "host", epoch: 0, ask: page.at });
    }
    page.changes.forEach((change) => this.#put(change));
    for (const [name, mark] of this.#marks) if (Date.now() - Math.max(mark.heard, (mark.until ?? 0) * 1000) > memory) this.#marks.delete(name);
    for (const [text, kept] of this.#asked) if (kept.exp <= now()) this.#asked.delete(text);
  }

  // The latest replaces what was known, but epochs only rise, and that something must
  // be asked stays so for the tokens that it was said of.
  #put(change: Change) {
    const name = `${change.claim} ${change.id ?? ""}`;
    const was = this.#marks.get(name);
    this.#marks.set(name, {
      ...change, heard: Date.now(), epoch: Math.max(change.epoch, was?.epoch ?? 0),
      ask: change.ask ?? was?.ask, turn: change.ask ? this.#turn : was?.turn ?? 0,
    });
  }

  async #next(): Promise<Page> {
    if (now() >= this.#own.until || !this.#own.token) {
      const t = (await this.#post("/oauth2/token", { grant_type: "client_credentials", scope: "revocations" })) as { access_token: string; expires_in: number };
      this.#own = { token: t.access_token, until: now() + t.expires_in * 0.75 };
    }
    const query = new URLSearchParams({ since: this.#cursor, wait: "5" });
    const answer = await fetch(`${this.issuer}/oauth2/revocations?${query}`, {
      headers: { authorization: `Bearer ${this.#own.token}` }, redirect: "error", signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(15_000)]),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return (await answer.json()) as Page;
  }

  async #ask(text: string): Promise<Answer> {
    let answer: Answer;
    try {
      answer = (await this.#post("/oauth2/introspect", { token: text })) as Answer;
    } catch {
      throw new Refused(503); // never let in on a guess
    }
    if (!answer.active || !answer.active_grant) throw new Refused(401);
    return answer;
  }

  async #post(path: string, form: Record<string, string>): Promise<unknown> {
    const basic = Buffer.from(`${encodeURIComponent(this.clientID)}:${encodeURIComponent(this.clientSecret)}`).toString("base64");
    const answer = await fetch(this.issuer + path, {
      method: "POST", headers: { authorization: `Basic ${basic}` }, body: new URLSearchParams(form), redirect: "error", signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) throw new Error(`${path}: status ${answer.status}`);
    return answer.json();
  }
}

function token(claims: Record<string, unknown>, answer?: Answer): Token {
  return {
    sub: claims.sub as string, grant: answer?.active_grant ?? (claims.active_grant as ActiveGrant),
    workflows: (answer ? answer.scope ?? "" : (claims.scope as string | undefined) ?? "").split(" "),
  };
}
