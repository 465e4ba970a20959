// The same on CommonJS.
import webhooks = require("@useathos/webhooks");

export const event: webhooks.WebhookEvent = webhooks.verify(new Uint8Array(), "t=1,v1=00", ["whsec_new", "whsec_old"]);
