// Reads lines of {body, headers, secret} and writes, for each, who of JUDGES accepts it: `1` or `0`.
import { createInterface } from "node:readline";
import { verify, WebhookRefused } from "@useathos/webhooks";
import * as standardwebhooks from "standardwebhooks";
import Stripe from "stripe";
import * as svix from "svix";

const JUDGES = [
  [(body, headers, secret) => verify(body, headers, secret), WebhookRefused],
  [(body, headers, secret) => Stripe.webhooks.constructEvent(body, headers["X-Athos-Signature"], secret, 300), Stripe.errors.StripeSignatureVerificationError],
  [(body, headers, secret) => new standardwebhooks.Webhook(secret).verify(body, headers), standardwebhooks.WebhookVerificationError],
  [(body, headers, secret) => new svix.Webhook(secret).verify(body, headers), svix.WebhookVerificationError],
];

for await (const line of createInterface({ input: process.stdin })) {
  const { body, headers, secret } = JSON.parse(line);
  console.log(JUDGES.map((judge) => accepts(judge, Buffer.from(body, "base64"), headers, secret)).join(""));
}

function accepts([judge, Refusal], body, headers, secret) {
  try {
    judge(body, headers, secret);
    return "1";
  } catch (cause) {
    if (cause instanceof Refusal) return "0";
    throw cause;
  }
}
