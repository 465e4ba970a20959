/** Every code an `error` event or a rejected promise can carry: the SDK's own, then those of redeeming. */
export const ATHOS_ERROR_CODES = [
  "MIC_PERMISSION_DENIED",
  "MIC_DEVICE_DISCONNECTED",
  "NO_MIC_AVAILABLE",
  "NETWORK_LOST",
  "AUDIO_PLAYBACK_BLOCKED",
  "BROWSER_NOT_SUPPORTED",
  "SESSION_ALREADY_CONNECTED",
  "INVALID_TOKEN",
  "TOKEN_EXPIRED",
  "TOKEN_ALREADY_USED",
  "INVALID_REQUEST",
  "DRILL_NOT_FOUND",
  "TENANT_INACTIVE",
  "RATE_LIMITED",
  "SERVICE_UNAVAILABLE",
  "INTERNAL_ERROR",
] as const;

export type AthosErrorCode = (typeof ATHOS_ERROR_CODES)[number];

const MESSAGES: Record<AthosErrorCode, string> = {
  MIC_PERMISSION_DENIED: "The microphone was not allowed.",
  MIC_DEVICE_DISCONNECTED: "The microphone was unplugged or stopped. Choose another one to be heard again.",
  NO_MIC_AVAILABLE: "No microphone can be used.",
  NETWORK_LOST: "The connection was lost.",
  AUDIO_PLAYBACK_BLOCKED: "The browser blocked the sound. Call resumeAudio() from a click.",
  BROWSER_NOT_SUPPORTED: "This browser cannot make calls. Use Chrome, Edge or Firefox on a computer, over https.",
  SESSION_ALREADY_CONNECTED: "A session connects once. Create a new one for the next call.",
  INVALID_TOKEN: "The session token is not valid.",
  TOKEN_EXPIRED: "The session token has expired.",
  TOKEN_ALREADY_USED: "The session token has been used already.",
  INVALID_REQUEST: "The call was asked for with a wrong value.",
  DRILL_NOT_FOUND: "There is no such drill.",
  TENANT_INACTIVE: "This account is not active.",
  RATE_LIMITED: "Too many requests. Try again in a moment.",
  SERVICE_UNAVAILABLE: "No call can be taken right now. Try again in a moment.",
  INTERNAL_ERROR: "Something went wrong on our side.",
};

/** The one error class of the SDK. Branch on `code`; `message` is for people. */
export class AthosRoleplayError extends Error {
  override readonly name = "AthosRoleplayError";
  readonly code: AthosErrorCode;

  constructor(code: AthosErrorCode, message: string = MESSAGES[code], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function isErrorCode(value: unknown): value is AthosErrorCode {
  return (ATHOS_ERROR_CODES as readonly unknown[]).includes(value);
}

export function networkLost(cause?: unknown): AthosRoleplayError {
  return new AthosRoleplayError("NETWORK_LOST", undefined, { cause });
}

/** The rejection of whatever `disconnect()` cancelled. */
export function abortError(): DOMException {
  return new DOMException("The session was disconnected.", "AbortError");
}

/** The server ended the call. `durationSec` is missing where it did not tell us about it, but met us with it. */
export class CallOver extends Error {
  constructor(readonly durationSec?: number) {
    super("The call is over.");
  }
}

/** Another connection carries the call now. */
export class TakenOver extends Error {}

/** What the page is told of a failure. */
export function asAthosError(cause: unknown): AthosRoleplayError {
  if (cause instanceof AthosRoleplayError) return cause;
  if (cause instanceof TakenOver)
    return new AthosRoleplayError("SESSION_ALREADY_CONNECTED", "This call goes on in another tab.");
  if (cause instanceof CallOver) return new AthosRoleplayError("NETWORK_LOST", "The call ended before it began.");
  return new AthosRoleplayError("INTERNAL_ERROR", undefined, { cause });
}
