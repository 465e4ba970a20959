import {
  ATHOS_DRILL_KEYS,
  ATHOS_EVENT_NAMES,
  AthosRoleplay,
  detectBrowserSupport,
} from "{{ATHOS_URL}}/sdk/useathos-sdk.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search); // ?drill=a-drill-of-your-own&debug
const LABELS = { "ma-full-sale": "Medicare Advantage: full sale" };
const STATES = {
  idle: "Ready to start",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  ending: "Ending…",
  ended: "Call ended",
  failed: "Not connected",
};

let session;
let clock;
let resultStream;

// --- the call: this is all that embedding Athos takes -------------------------------------------

async function startCall() {
  reset();
  show("connecting");
  try {
    const { token } = await post("/token");
    if ($("state").dataset.state === "ending") return show("ended"); // ended while we waited
    session = AthosRoleplay.create({
      token,
      drillKey: $("drill").value,
      difficulty: $("difficulty").value,
      apiBase: "{{ATHOS_URL}}",
      debug: query.has("debug"),
    });
    listen(session);
    if ($("microphone").value) await session.setMicrophone($("microphone").value);
    await session.connect();
    await showMicrophones();
  } catch (cause) {
    if (cause.name === "AbortError") return show("ended");
    if (cause.name !== "AthosRoleplayError") problem(cause.message); // the others came as `error` events
    show("failed");
  }
}

function listen(session) {
  for (const name of ATHOS_EVENT_NAMES) session.on(name, (payload) => log(name, payload));
  session.on("ready", ({ persona }) => {
    $("persona-name").textContent = persona.name;
    startClock();
    show("live");
  });
  session.on("reconnecting", () => show("reconnecting"));
  session.on("reconnected", () => show("live"));
  session.on("personaSpeaking", ({ speaking }) => showSpeaking("persona-speaking", speaking));
  session.on("userSpeaking", ({ speaking }) => showSpeaking("user-speaking", speaking));
  session.on("error", ({ code, message }) => {
    problem(`${message} (${code})`);
    if (code === "AUDIO_PLAYBACK_BLOCKED") $("resume-audio").hidden = false;
  });
  session.on("ended", ({ callId, durationSec }) => {
    show("ended");
    showTime(durationSec);
    $("call-id").textContent = callId;
    if (durationSec > 0) waitForResult(callId);
  });
}

async function endCall() {
  show("ending");
  await session?.disconnect();
}

// --- the result: our own server got it by webhook ------------------------------------------------

function waitForResult(callId) {
  result("waiting", "Your call is being scored. This takes up to a minute.");
  resultStream = new EventSource(`/events?callId=${encodeURIComponent(callId)}`);
  resultStream.onmessage = ({ data }) => {
    resultStream.close();
    const { event, call } = JSON.parse(data);
    if (call) showScore(call);
    else result("failed", event.reasonMessage ?? "This call could not be scored.");
  };
}

/** What Athos told our server by webhook, verified there. */
function watchWebhooks() {
  new EventSource("/webhooks").onmessage = ({ data }) => {
    const { event, webhookId, ...facts } = JSON.parse(data);
    addTo($("webhooks"), event, facts);
  };
}

function showScore({ score, transcript }) {
  result("scored", "");
  $("result-score").hidden = false;
  $("score").textContent = score.overallScore;
  $("summary").textContent = score.summary;
  $("feedback").textContent = score.feedback;
  $("transcript").replaceChildren(
    ...transcript.map(({ role, content }) => {
      const item = document.createElement("li");
      item.dataset.role = role;
      item.textContent = content;
      return item;
    }),
  );
}

function result(state, text) {
  $("result").dataset.state = state;
  $("result-text").textContent = text;
  $("result-text").hidden = text === "";
}

// --- the page ------------------------------------------------------------------------------------

function show(state) {
  const onCall = ["connecting", "live", "reconnecting", "ending"].includes(state);
  $("state").dataset.state = state;
  $("state").textContent = STATES[state];
  const focused = [$("start"), $("end")].includes(document.activeElement);
  $("start").hidden = onCall;
  $("end").hidden = !onCall;
  $("end").disabled = state === "ending";
  if (focused) (onCall ? $("end") : $("start")).focus(); // the keyboard stays where it was
  $("drill").disabled = $("difficulty").disabled = onCall;
  $("mute").disabled = !onCall;
  if (!onCall) {
    clearInterval(clock);
    showSpeaking("persona-speaking", false);
    showSpeaking("user-speaking", false);
    $("resume-audio").hidden = true;
    showMuted(false);
  }
}

function reset() {
  resultStream?.close();
  session = undefined;
  $("log").replaceChildren();
  $("problem").hidden = true;
  $("result-score").hidden = true;
  $("call-id").textContent = "";
  result("none", "Finish a call to see how it went.");
  showTime(0);
}

function log(name, payload) {
  addTo($("log"), name, payload);
}

function addTo(list, name, payload) {
  const item = document.createElement("li");
  item.dataset.event = name;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const event = document.createElement("b");
  event.textContent = name;
  item.append(time, event, payload ? JSON.stringify(payload, null, 1).replace(/\n\s*/g, " ") : "");
  list.append(item);
  list.scrollTop = list.scrollHeight;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = false;
}

function showSpeaking(id, speaking) {
  $(id).dataset.speaking = String(speaking);
  $(id).querySelector(".sr-only").textContent = speaking ? "speaking" : "silent";
}

function showMuted(muted) {
  $("mute").setAttribute("aria-pressed", String(muted));
  $("mute").textContent = muted ? "Muted" : "Mute";
}

function startClock() {
  const startedAt = performance.now();
  clock = setInterval(() => showTime((performance.now() - startedAt) / 1000), 250);
}

function showTime(seconds) {
  const whole = Math.floor(seconds);
  $("timer").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Names are known only once the microphone was allowed, so this runs again then. */
async function showMicrophones() {
  const microphones = await session.listMicrophones();
  const chosen = $("microphone").value;
  const options = microphones.filter(({ deviceId }) => deviceId !== "").map(({ deviceId, label }) => new Option(label, deviceId));
  if (options.length === 0) return;
  $("microphone").replaceChildren(...options);
  $("microphone").value = microphones.some(({ deviceId }) => deviceId === chosen) ? chosen : options[0].value;
}

async function post(path) {
  const response = await fetch(path, { method: "POST" });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.error.message} (${answer.error.code})`);
  return answer;
}

$("start").addEventListener("click", startCall);
$("end").addEventListener("click", endCall);
$("mute").addEventListener("click", async () => {
  const muted = $("mute").getAttribute("aria-pressed") !== "true";
  showMuted(muted);
  await (muted ? session?.mute() : session?.unmute());
});
$("microphone").addEventListener("change", () => {
  session?.setMicrophone($("microphone").value).catch(() => {}); // came as an `error` event
});
$("resume-audio").addEventListener("click", async () => {
  await session?.resumeAudio();
  $("resume-audio").hidden = true;
});

const drills = new Set([...(query.has("drill") ? [query.get("drill")] : []), ...ATHOS_DRILL_KEYS]);
$("drill").replaceChildren(...[...drills].map((key) => new Option(LABELS[key] ?? key, key)));

const support = detectBrowserSupport(navigator.userAgent);
if (!support.supported) problem("Calls work in Chrome, Edge and Firefox on a computer.");
$("start").disabled = !support.supported;
watchWebhooks();
show("idle");
