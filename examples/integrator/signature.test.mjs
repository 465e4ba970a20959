import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { isFromAthos } from "./signature.mjs";

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const BODY = Buffer.from('{"event":"call.scored","callId":"athos_call_1","name":"Zoë"}');
const NOW = 1_749_139_254;

const sign = (secret, body, t) => createHmac("sha256", secret).update(`${t}.`).update(body).digest("hex");
const header = (t = NOW) => `t=${t},v1=${sign(SECRET, BODY, t)}`;

test("what Athos signed is accepted", () => assert.ok(isFromAthos(header(), BODY, SECRET, NOW)));

test("300 s in either direction are allowed, 301 are not", () => {
  for (const away of [-300, 300]) assert.ok(isFromAthos(header(NOW + away), BODY, SECRET, NOW));
  for (const away of [-301, 301]) assert.ok(!isFromAthos(header(NOW + away), BODY, SECRET, NOW));
});

test("during a rotation either of two signatures is enough", () => {
  const [t, v1] = header().split(",");
  const other = `v1=${sign("whsec_new", BODY, NOW)}`;
  assert.ok(isFromAthos([t, other, v1].join(","), BODY, SECRET, NOW));
  assert.ok(isFromAthos([t, v1, other].join(","), BODY, SECRET, NOW));
});

test("anything else is refused", () => {
  const signature = sign(SECRET, BODY, NOW);
  const bad = [
    undefined, "", "t=,v1=", `v1=${signature}`, `t=${NOW}`, `t=${NOW},v1=`, `t=${NOW},v1=zz`, `t=x,v1=${signature}`,
    `t=${NOW},v0=${signature}`, `t=${NOW + 1},v1=${signature}`, `t=${NOW},v1=${signature.slice(2)}`, `t=NaN,v1=${signature}`,
  ];
  for (const value of bad) assert.ok(!isFromAthos(value, BODY, SECRET, NOW), String(value));
  assert.ok(!isFromAthos(header(), Buffer.concat([BODY, Buffer.from(" ")]), SECRET, NOW));
  assert.ok(!isFromAthos(header(), BODY, "whsec_other", NOW));
});
