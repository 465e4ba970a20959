/**
 * `SIGNATURE_MISSING`, `SIGNATURE_MALFORMED`: there is no header that Athos could have written.
 * `SIGNATURE_MISMATCH`: other bytes, or another secret. Is it the raw body that you pass?
 * `TIME_TOO_OLD`, `TIME_TOO_NEW`: signed with your secret, but not now. Is your clock right?
 * `BODY_INVALID`: signed with your secret, but not a message of Athos.
 */
export type WebhookRefusedCode =
  | "SIGNATURE_MISSING"
  | "SIGNATURE_MALFORMED"
  | "SIGNATURE_MISMATCH"
  | "TIME_TOO_OLD"
  | "TIME_TOO_NEW"
  | "BODY_INVALID";

/** Don't act on this message. Answer 401, or 400 for `BODY_INVALID`. */
export class WebhookRefused extends Error {
  override readonly name = "WebhookRefused";

  constructor(
    readonly code: WebhookRefusedCode,
    message: string,
  ) {
    super(`${message} (${code})`);
  }
}
