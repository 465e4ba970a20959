import { expect, it } from "vitest";
import { parseMessage } from "./protocol.js";

it.each([
  { type: "joined", callId: "athos_call_1", iceServers: [] },
  { type: "answer", sdp: "v=0" },
  { type: "ready", persona: { name: "Rosa" } },
  { type: "personaSpeaking", speaking: true },
  { type: "taken_over" },
  { type: "ended", callId: "athos_call_1", durationSec: 3, reason: "rep" },
  { type: "error", code: "INTERNAL_ERROR", message: "Why." },
  { type: "pong", t: 1 },
])("reads $type", (message) => {
  expect(parseMessage(JSON.stringify(message))).toEqual(message);
});

it.each([
  ["no JSON", "{"],
  ["null", "null"],
  ["a number", "1"],
  ["no type", "{}"],
  ["a type of Object's own", '{"type":"constructor"}'],
  ["a type to come", '{"type":"later"}'],
  ["a missing field", '{"type":"answer"}'],
  ["a field of the wrong kind", '{"type":"userSpeaking","speaking":"yes"}'],
  ["a persona that is null", '{"type":"ready","persona":null}'],
  ["bytes", new ArrayBuffer(2)],
  ["too much", JSON.stringify({ type: "answer", sdp: "x".repeat(70_000) })],
])("ignores %s", (_, data) => {
  expect(parseMessage(data)).toBeUndefined();
});
