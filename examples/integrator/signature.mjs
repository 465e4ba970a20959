import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE = 300; // seconds, in either direction

/**
 * Whether Athos sent these bytes, just now. `header` is X-Athos-Signature: `t=<unix seconds>,v1=<hex>`, with a
 * second `v1` while the secret is being rotated. `rawBody` must be the bytes as received, not parsed and printed again.
 */
export function isFromAthos(header, rawBody, secret, now = Date.now() / 1000) {
  const parts = String(header ?? "").split(",").map((part) => part.split("=", 2));
  const sentAt = parts.find(([name]) => name === "t")?.[1] ?? "";
  if (!/^\d{1,12}$/.test(sentAt) || Math.abs(now - Number(sentAt)) > TOLERANCE) return false;
  const expected = createHmac("sha256", secret).update(`${sentAt}.`).update(rawBody).digest();
  return parts.some(([name, value = ""]) => {
    const given = Buffer.from(name === "v1" ? value : "", "hex");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}
