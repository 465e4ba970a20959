export { detectBrowserSupport, type BrowserSupport } from "./browser-support.js";
export { ATHOS_DRILL_KEYS, type AthosDrillKey } from "./drills.js";
export { ATHOS_ERROR_CODES, AthosRoleplayError, type AthosErrorCode } from "./errors.js";
export { ATHOS_EVENT_NAMES, type AthosEventMap, type AthosEventName } from "./events.js";
export type { AthosEnvironment, AthosEnvironmentOptions, NetworkCheck } from "./environment.js";
export type { MicrophoneInfo } from "./microphone.js";
export type { ConnectionQuality } from "./quality.js";
export { AthosRoleplay, type AthosRoleplayCreateOptions } from "./roleplay.js";
export type { AthosRoleplaySession } from "./session.js";
