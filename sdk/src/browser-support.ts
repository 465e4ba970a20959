export interface BrowserSupport {
  supported: boolean;
  /** Why not: Safari, a phone or tablet, or a browser that we do not know. */
  reason?: "safari" | "mobile" | "unknown";
}

const MOBILE = /Mobi|Android|iPhone|iPad|iPod|CriOS|FxiOS|EdgiOS|OPiOS|Tablet|Silk|KAIOS|webOS|Opera Mini/i;
const CHROMIUM = /(?:Headless)?Chrome\/\d|Chromium\/\d/;
const FIREFOX = /Firefox\/\d/;
const LEGACY = /Edge\/\d|Trident\/|MSIE |Seamonkey\//i; // their strings name other engines too
const SAFARI = /Version\/[\d.]+.*Safari\//;

/** Whether a call can be made in this browser: desktop Chromium family and desktop Firefox. */
export function detectBrowserSupport(userAgent: string = currentUserAgent()): BrowserSupport {
  if (MOBILE.test(userAgent)) return { supported: false, reason: "mobile" };
  if (LEGACY.test(userAgent)) return { supported: false, reason: "unknown" };
  if (CHROMIUM.test(userAgent) || FIREFOX.test(userAgent)) return { supported: true };
  if (SAFARI.test(userAgent)) return { supported: false, reason: "safari" };
  return { supported: false, reason: "unknown" };
}

/** Also false on a page without https, where browsers hide the microphone. */
export function hasCallFeatures(): boolean {
  return (
    typeof RTCPeerConnection === "function" &&
    "setConfiguration" in RTCPeerConnection.prototype && // Firefox has it since 119
    typeof WebSocket === "function" &&
    typeof navigator.mediaDevices?.getUserMedia === "function"
  );
}

function currentUserAgent(): string {
  return typeof navigator === "undefined" ? "" : (navigator.userAgent ?? "");
}
