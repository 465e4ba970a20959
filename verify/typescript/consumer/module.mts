// Compiled by scripts/check-build.mjs, never run: what an integrator on ES modules writes.
import type { IncomingMessage } from "node:http";
import { verify, WebhookRefused, type WebhookEvent, type WebhookRefusedCode } from "@useathos/webhooks";

export function node(body: Buffer, request: IncomingMessage): WebhookRefusedCode | string {
  try {
    return what(verify(body, request.headers, "whsec_x", { tolerance: 60 }));
  } catch (cause) {
    if (cause instanceof WebhookRefused) return cause.code;
    throw cause;
  }
}

export async function fetched(request: Request): Promise<WebhookEvent> {
  return verify(new Uint8Array(await request.arrayBuffer()), request.headers, "whsec_x");
}

function what(event: WebhookEvent): string {
  switch (event.event) {
    case "call.scored":
      // @ts-expect-error a scored call does not say how it ended
      event.endReason.trim();
      return event.success ? event.callId : (event.reason ?? "");
    case "call.ended":
      return `${event.endReason} ${event.durationSec.toFixed()}`;
    case "recording.deleted":
      return `${event.callId} ${event.reason}`;
    case "endpoint.test":
      return event.webhookId;
    case "call.started":
    case "call.score_failed":
    case "score.overridden":
      return event.externalAgencyId ?? event.externalUserId;
    default:
      return `${event.event} ${String(event["something"])}`;
  }
}
