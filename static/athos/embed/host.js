// The page that frames us. It alone can get a session token, from its own backend. docs/embedding.md

const TOKEN_LIMIT_MS = 20_000;

export class HostError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Host {
  #origins;
  #attempt = 0;

  /** `origins` may frame us: the same that our Content Security Policy names. */
  constructor(origins) {
    this.#origins = origins;
  }

  get framed() {
    return window.parent !== window;
  }

  /** Tells the host something. Only the pages on the list can read it. */
  tell(message) {
    if (!this.framed) return;
    for (const origin of this.#targets()) window.parent.postMessage(message, origin);
  }

  /** Who frames us where the browser says so, else all on the list: a page of another origin gets nothing. */
  #targets() {
    const parent = location.ancestorOrigins?.[0] ?? (URL.canParse(document.referrer) ? new URL(document.referrer).origin : "");
    return this.#origins.includes(parent) ? [parent] : this.#origins;
  }

  /** Asks for a fresh token. Rejects with a HostError, or with the signal's reason. */
  async token(signal) {
    const attempt = ++this.#attempt;
    const ended = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { signal: ended.signal });
        const late = setTimeout(() => reject(new HostError("HOST_SILENT", "Your training site did not answer.")), TOKEN_LIMIT_MS);
        ended.signal.addEventListener("abort", () => clearTimeout(late));
        const hear = (event) => this.#hear(event, attempt, resolve, reject);
        window.addEventListener("message", hear, { signal: ended.signal });
        this.tell({ type: "athos:token-request", attempt });
      });
    } finally {
      ended.abort();
    }
  }

  /** Hears session tokens that the host sends to say who the rep is, not to start a call. */
  onRepToken(use) {
    window.addEventListener("message", ({ source, origin, data }) => {
      if (source !== window.parent || !this.#origins.includes(origin)) return;
      if (data?.type === "athos:rep-token" && typeof data.token === "string") use(data.token);
    });
  }

  #hear({ source, origin, data }, attempt, resolve, reject) {
    if (source !== window.parent || !this.#origins.includes(origin)) return;
    if (data === null || typeof data !== "object" || (data.attempt ?? attempt) !== attempt) return;
    if (data.type === "athos:token" && typeof data.token === "string") resolve(data.token);
    if (data.type === "athos:token-refused") {
      const why = typeof data.message === "string" ? data.message.slice(0, 300) : "Your training site refused this call.";
      reject(new HostError("HOST_REFUSED", why));
    }
  }
}
