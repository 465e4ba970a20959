export type {
  CallEndedEvent,
  CallScoredEvent,
  CallScoreFailedEvent,
  CallStartedEvent,
  EndpointTestEvent,
  RecordingDeletedEvent,
  OtherEvent,
  ScoreOverriddenEvent,
  WebhookEvent,
} from "./events.js";
export { WebhookRefused, type WebhookRefusedCode } from "./refused.js";
export { TOLERANCE, verify, type VerifyOptions, type WebhookHeaders } from "./verify.js";
