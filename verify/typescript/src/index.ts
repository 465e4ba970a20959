export type {
  CallEndedEvent,
  CallScoredEvent,
  CallScoreFailedEvent,
  CallStartedEvent,
  EndpointTestEvent,
  RecordingDeletedEvent,
  ScoreOverriddenEvent,
  OtherEvent,
  ScoreOverriddenEvent,
  WebhookEvent,
} from "./events.js";
export { WebhookRefused, type WebhookRefusedCode } from "./refused.js";
export { TOLERANCE, verify, type VerifyOptions, type WebhookHeaders } from "./verify.js";
