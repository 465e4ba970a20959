import { detectBrowserSupport, hasCallFeatures } from "./browser-support.js";
import { checkEnvironment, type AthosEnvironment, type AthosEnvironmentOptions } from "./environment.js";
import { defaultOrigin } from "./default-origin.js";
import type { AthosDrillKey } from "./drills.js";
import { AthosRoleplayError } from "./errors.js";
import { makeLog } from "./log.js";
import { Session, type AthosRoleplaySession } from "./session.js";

export interface AthosRoleplayCreateOptions {
  /** A session token, minted by your backend for this person, at most five minutes old. */
  token: string;
  drillKey: AthosDrillKey;
  /** Which persona to meet. A filter that matches nothing is dropped. */
  filters?: { state?: string | undefined; category?: string | undefined } | undefined;
  /** `Advanced` when not given. */
  difficulty?: "Beginner" | "Advanced" | "Elite" | undefined;
  /** Writes what happens to the console, each line beginning with `[Athos]`. */
  debug?: boolean | undefined;
  /** Asks for the persona's words as well, for `onCaption`. */
  captions?: boolean | undefined;
  /** The origin of the Athos server, such as `https://app.example.com`. */
  apiBase?: string | undefined;
}

export const AthosRoleplay = {
  /**
   * Prepares a call; nothing is asked of person or network before `connect()`. Throws
   * `BROWSER_NOT_SUPPORTED` where no call could be made.
   */
  create(options: AthosRoleplayCreateOptions): AthosRoleplaySession {
    if (!detectBrowserSupport().supported || !hasCallFeatures()) throw new AthosRoleplayError("BROWSER_NOT_SUPPORTED");
    const { debug = false, captions = false, apiBase = defaultOrigin.value, ...call } = options;
    return new Session({ ...call, captions, apiBase: originOf(apiBase) }, makeLog(debug));
  },

  /** Before a call, from a click: does the microphone hear, does the network carry, does the room echo? */
  async checkEnvironment(options: AthosEnvironmentOptions): Promise<AthosEnvironment> {
    if (!detectBrowserSupport().supported || !hasCallFeatures()) throw new AthosRoleplayError("BROWSER_NOT_SUPPORTED");
    return checkEnvironment({ ...options, apiBase: originOf(options.apiBase ?? defaultOrigin.value) });
  },
} as const;

function originOf(apiBase: string): string {
  if (!/^https?:\/\//i.test(apiBase) || !URL.canParse(apiBase)) {
    throw new AthosRoleplayError("INVALID_REQUEST", "apiBase must be an origin such as https://app.example.com");
  }
  return new URL(apiBase).origin;
}
