// The same on CommonJS.
import sdk = require("@useathos/sdk");

const support: sdk.BrowserSupport = sdk.detectBrowserSupport("curl");
export const reason: "safari" | "mobile" | "unknown" | undefined = support.reason;
