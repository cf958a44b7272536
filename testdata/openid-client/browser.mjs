// A browser without a window: it keeps cookies by host name (cookies do not know
// ports) and follows redirects by hand, so that each step can be looked at.
const maxHops = 20;

export class Browser {
  #cookies = new Map(); // host → Map(name → {value, path})

  #header(url) {
    const jar = this.#cookies.get(url.hostname) ?? new Map();
    return [...jar].filter(([, c]) => url.pathname.startsWith(c.path)).map(([name, c]) => `${name}=${c.value}`).join("; ");
  }

  #keep(url, response) {
    const jar = this.#cookies.get(url.hostname) ?? new Map();
    this.#cookies.set(url.hostname, jar);
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(";").map((part) => part.trim());
      const at = pair.indexOf("=");
      const name = pair.slice(0, at);
      const options = Object.fromEntries(attributes.map((a) => a.split("=", 2)).map(([k, v]) => [k.toLowerCase(), v ?? ""]));
      const gone = options["max-age"] !== undefined ? Number(options["max-age"]) <= 0 : options.expires !== undefined && Date.parse(options.expires) <= Date.now();
      if (gone) jar.delete(name);
      else jar.set(name, { value: pair.slice(at + 1), path: options.path?.startsWith("/") ? options.path : "/" });
    }
  }

  // cookies are what it would send there.
  cookies(address) {
    return this.#header(new URL(new URL(address).origin));
  }

  // open goes to an address and follows redirects until one leads to stopAt; it
  // returns that address. Coming to rest anywhere else is an error that shows where.
  async open(address, stopAt) {
    let url = new URL(address);
    for (let hop = 0; hop < maxHops; hop++) {
      const cookie = this.#header(url);
      const response = await fetch(url, { redirect: "manual", headers: cookie ? { cookie } : {}, signal: AbortSignal.timeout(15_000) });
      this.#keep(url, response);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || !location) {
        const text = (await response.text()).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim();
        throw new Error(`the browser stopped at ${url.origin}${url.pathname} with status ${response.status}: ${text.slice(0, 400)}`);
      }
      await response.body?.cancel();
      url = new URL(location, url);
      if (url.origin + url.pathname === stopAt) return url;
    }
    throw new Error(`more than ${maxHops} redirects, last to ${url.origin}${url.pathname}`);
  }
}
