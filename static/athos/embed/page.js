// The rep's page: ready, connecting, live, scoring, scored, or failed.
import { AthosRoleplay, detectBrowserSupport } from "/sdk/useathos-sdk.js";
import { bindPlayer } from "../player.js";
import { SoundCheck } from "./check.js";
import { Host } from "./host.js";
import { showLevel } from "./level.js";
import { showAssigned } from "./assigned.js";
import { bindDisputes } from "./disputes.js";
import { consent, dispute, follow, scorecard, TicketOver } from "./progress.js";
import { SilenceGuard } from "./silence.js";
import { Talk } from "./talk.js";
import { kept, watchRedeem } from "./ticket.js";

const $ = (id) => document.getElementById(id);
const page = $("page");
const { drill, difficulty, filters, parents } = page.dataset;
const host = new Host(parents ? parents.split(" ") : []);

const UNSUPPORTED = {
  safari: ["Please use Chrome, Edge or Firefox", "Safari cannot make the call yet. You can read here what it will be about."],
  mobile: ["The call needs a computer", "Read here what it will be about. For the call itself, open this page in Chrome, Edge or Firefox on a computer with a microphone."],
  unknown: ["Please use Chrome, Edge or Firefox", "This browser cannot make the call. You can read here what it will be about."],
};
const QUALITY = { good: "Good connection", fair: "Fair connection", poor: "Poor connection" };
const CAPTIONS = 4; // sentences in view
const METER_MS = 80;
const ASSIGNED_WITHIN_MS = 250; // what was assigned is worth no longer wait
const PATIENCE_MS = 90_000; // most calls are scored by then
const ADVICE = {
  MIC_PERMISSION_DENIED: "Your browser does not let this page use the microphone. Allow it in the address bar, then try again.",
  NO_MIC_AVAILABLE: "No microphone was found, or another program uses it. Plug one in, then try again.",
  NETWORK_LOST: "The server could not be reached. Check your network, then try again.",
  SERVICE_UNAVAILABLE: "All lines are busy just now. Try again in a minute.",
  RATE_LIMITED: "All lines are busy just now. Try again in a minute.",
  DRILL_NOT_FOUND: "This practice does not exist. Tell the people who run your training site.",
  TENANT_INACTIVE: "Your organization's account is not active. Tell the people who run your training site.",
  TENANT_QUOTA_EXCEEDED: "This month's practice time is used up. Tell the people who run your training site.",
  TOKEN_EXPIRED: "The permission to call has run out. Try again.",
  TOKEN_ALREADY_USED: "The permission to call was used already. Try again.",
};
const LIVE_ADVICE = {
  MIC_DEVICE_DISCONNECTED: "Your microphone is gone. Choose another one, or plug it in again.",
  MIC_PERMISSION_DENIED: "Your browser took the microphone away from this page. Allow it in the address bar; until then nobody hears you.",
  AUDIO_PLAYBACK_BLOCKED: "Your browser plays no sound yet. Press the button “Turn the sound on”.",
};
const UNSCORED = {
  NEVER_CONNECTED: "The call was never connected, so there is nothing to score.",
  REP_NEVER_SPOKE: "We did not hear you on the call, so there is nothing to score. Check your microphone before the next one.",
  SCORING_INCOMPLETE: "Your call was recorded, but it could not be scored. The people who run your training site were told.",
};

let session; // of the SDK; one per call
let life = new AbortController(); // what the page waits for in its present state
let ticket = kept.ticket;
let clock; // the timers of the call
let meter;

const ENDED_WHY = {
  NETWORK_LOST: "The connection was away for half a minute, so the call ended. What was said until then is scored.",
  SESSION_ALREADY_CONNECTED: "Another tab took the call over. Its result comes here as well.",
  SILENCE: "We heard nobody for six minutes, so we ended the call.",
};
const MICROPHONE_TROUBLE = ["MIC_DEVICE_DISCONNECTED", "MIC_PERMISSION_DENIED", "NO_MIC_AVAILABLE"];

let endedWhy = ""; // a key of ENDED_WHY, where the rep did not end the call
let paused = false;
let deaf = false; // the microphone is gone and silence is sent
const guard = new SilenceGuard($("still-there"), $("still-there-left"), () => {
  endedWhy = "SILENCE";
  session?.disconnect();
});
const check = new SoundCheck({
  start: $("check"),
  microphone: $("check-microphone"),
  device: $("check-device"),
  level: $("check-level"),
  speaker: $("check-speaker"),
  heard: $("check-heard"),
  heardYes: $("heard-yes"),
  heardNo: $("heard-no"),
  network: $("check-network"),
});
const talk = new Talk({ mute: $("mute"), mode: $("press-to-talk"), hold: $("hold") }, () => showSpeaking("rep", false));

watchRedeem(async (fresh) => {
  ticket = fresh;
  kept.keep(fresh);
  await consent(fresh, page.dataset.consent, $("private")?.checked ?? false); // the SDK joins no call that the rep did not agree to
});

// --- states --------------------------------------------------------------------------------------

function show(state, words = "") {
  for (const section of page.querySelectorAll("[data-state]")) section.hidden = section.dataset.state !== state;
  window.scrollTo(0, 0);
  // never takes the keyboard away from the page around us
  if (document.hasFocus()) page.querySelector(`[data-state="${state}"] h1`).focus();
  $("announcement").textContent = words;
  host.tell({ type: "athos:state", state });
}

function newLife() {
  life.abort(new DOMException("The page went on.", "AbortError"));
  life = new AbortController();
  return life.signal;
}

function ready() {
  newLife();
  if (!drill) return fail("No practice was chosen", "The address of this page names no drill. Tell the people who run your training site.");
  const support = detectBrowserSupport(navigator.userAgent);
  if (!support.supported) readOnly(...UNSUPPORTED[support.reason]);
  else if (!host.framed) readOnly("Open this from your training site", "The call starts inside your training site, which says who you are.");
  show("ready");
}

/** Another attempt begins where the first did: with the task and the rep's consent. */
function again() {
  kept.forget();
  ready();
}

/** The task can be read where no call can be made. */
function readOnly(title, text) {
  $("not-here-title").textContent = title;
  $("not-here-text").textContent = text;
  $("not-here").hidden = false;
  $("getting-ready").hidden = true;
}

async function start() {
  const signal = newLife();
  check.stop();
  ticket = undefined;
  kept.forget();
  $("connecting-text").textContent = "Asking your training site for permission…";
  show("connecting", "Connecting");
  try {
    const token = await host.token(signal);
    const soon = AbortSignal.any([signal, AbortSignal.timeout(ASSIGNED_WITHIN_MS)]);
    await showAssigned(token, drill, [$("assigned-connecting")], soon); // connect() spends the token
    signal.throwIfAborted();
    $("connecting-text").textContent = "Allow the microphone when your browser asks. Then we connect you.";
    const call = (session = makeSession(token));
    signal.addEventListener("abort", () => call.disconnect(), { once: true });
    if (check.deviceId) await call.setMicrophone(check.deviceId);
    await call.connect();
  } catch (cause) {
    if (cause.name === "AbortError") return;
    kept.forget();
    fail("The call did not start", ADVICE[cause.code] ?? cause.message, { code: cause.code, again: start });
  }
}

function makeSession(token) {
  const made = AthosRoleplay.create({
    token,
    drillKey: drill,
    difficulty,
    filters: Object.fromEntries(new URLSearchParams(filters)),
    captions: true, // shown to those who ask for them
    apiBase: location.origin,
  });
  made.onCaption(({ text }) => addCaption(text));
  made.on("ready", ({ persona }) => goLive(persona.name));
  made.onPause(({ paused }) => showPause(paused));
  made.on("personaSpeaking", ({ speaking }) => showSpeaking("persona", speaking));
  made.on("userSpeaking", ({ speaking }) => {
    showSpeaking("rep", speaking);
    if (speaking) guard.heard();
  });
  made.on("reconnecting", () => reconnecting(true));
  made.on("reconnected", () => reconnecting(false));
  made.on("error", ({ code, message }) => callTrouble(code, message));
  made.on("ended", (end) => callEnded(end));
  return made;
}

function goLive(name) {
  $("persona-name").textContent = name;
  $("persona-initials").textContent = name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("");
  endedWhy = "";
  talk.start(session);
  trouble("");
  showPause(false);
  reconnecting(false);
  $("resume-audio").hidden = true;
  show("live", `You are connected with ${name}.`);
  const since = Date.now();
  clock = setInterval(() => {
    $("timer").textContent = asClock((Date.now() - since) / 1000);
    showQuality();
  }, 250);
  meter = setInterval(showInput, METER_MS);
  $("captions").replaceChildren();
  guard.start();
  showMicrophones();
}

function callEnded({ callId, durationSec }) {
  offTheLine();
  host.tell({ type: "athos:ended", callId, durationSec });
  if (onCall()) follower(); // a call that never became live ends in `start`
}

function offTheLine() {
  clearInterval(clock);
  clearInterval(meter);
  guard.stop();
  talk.stop();
}

/** From the end of the call to its scorecard, also after a reload. */
async function follower() {
  const signal = newLife();
  $("scoring-problem").hidden = true;
  $("ended-why").textContent = ENDED_WHY[endedWhy] ?? "";
  $("ended-why").hidden = !(endedWhy in ENDED_WHY);
  showSteps("live");
  const waiting = setInterval(showWaiting, 1_000, Date.now());
  signal.addEventListener("abort", () => clearInterval(waiting), { once: true });
  showWaiting(Date.now());
  show("scoring", "The call is over and is being scored.");
  try {
    const state = await follow(ticket, { onState: showProgress, onTrouble: () => scoringTrouble("No answer from the server. Trying again…"), signal });
    if (state.stage === "failed") return fail("There is no score for this call", UNSCORED[state.reason] ?? UNSCORED.SCORING_INCOMPLETE, { code: state.reason, again });
    await showResult(state, signal);
  } catch (cause) {
    if (signal.aborted) return;
    kept.forget();
    if (cause instanceof TicketOver) return fail("This result is no longer shown here", "You find it on your training site.", { again });
    fail("The result could not be shown", "Load this page again to see it.", { again });
  }
}

async function showResult(state, signal) {
  $("result").innerHTML = await scorecard(ticket, signal);
  bindPlayer($("result"));
  bindDisputes($("result"), (checkKey, text) => dispute(ticket, checkKey, text));
  const first = $("result").querySelector("[data-first] .what")?.textContent;
  $("last-time").textContent = `Last time: ${state.scorecard.overallScore} of 100.${first ? ` Work on this first: ${first}.` : ""}`;
  $("last-time").hidden = false;
  $("scored-facts").textContent = [state.drillTitle, `with ${state.persona.name}`, state.difficulty, asClock(state.durationSec)].join(" · ");
  show("scored", `Your result is here: ${state.scorecard.overallScore} of 100 points.`);
}

/** `again` is what the button does; without it there is none. */
function fail(title, text, { code = "", again: act } = {}) {
  offTheLine();
  $("failed-title").textContent = title;
  $("failed-text").textContent = text;
  $("failed-code").textContent = code ? `Code for support: ${code}` : "";
  $("failed-code").hidden = !code;
  $("try-again").hidden = !act;
  $("try-again").textContent = act === start ? "Try again" : "Practise again";
  $("try-again").onclick = act;
  show("failed", title);
}

// --- details -------------------------------------------------------------------------------------

function showProgress({ stage }) {
  $("scoring-problem").hidden = true;
  showSteps(stage);
}

function showSteps(stage) {
  const steps = [...$("steps").children];
  const at = steps.findIndex((step) => step.dataset.stage === stage);
  const now = at === -1 ? steps.length : at;
  steps.forEach((step, n) => (step.dataset.step = n < now ? "done" : n === now ? "now" : "later"));
}

/** What may be said honestly: how long it took so far, and when that is longer than usual. */
function showWaiting(since) {
  const elapsed = Date.now() - since;
  const usual = elapsed < PATIENCE_MS;
  $("scoring-wait").textContent = usual
    ? "This usually takes less than a minute. You may close the page."
    : "This takes longer than usual. You may close the page: nothing is lost, your training site gets the result.";
}

function onCall() {
  return !page.querySelector('[data-state="live"]').hidden;
}

function scoringTrouble(text) {
  $("scoring-problem").textContent = text;
  $("scoring-problem").hidden = false;
}

function trouble(text, code = "") {
  deaf = MICROPHONE_TROUBLE.includes(code);
  $("live-problem").textContent = text;
  $("live-problem").hidden = !text;
}

function reconnecting(now) {
  $("reconnecting").hidden = !now;
}

/** Errors in the middle of a call; those of `connect` reject it as well. */
function callTrouble(code, message) {
  if (!onCall()) return;
  if (code in ENDED_WHY) endedWhy = code;
  if (code === "AUDIO_PLAYBACK_BLOCKED") $("resume-audio").hidden = false;
  trouble(LIVE_ADVICE[code] ?? message, code);
}

/** The level; and where a lost microphone came back by itself, as a headset does, that it is heard again. */
function showInput() {
  const level = session.inputLevel();
  showLevel($("live-level"), level);
  if (deaf && level > 0) trouble("");
}

function showPause(now) {
  paused = now;
  $("paused").hidden = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  talk.pause(paused);
  for (const who of ["persona", "rep"]) showSpeaking(who, false);
}

function showQuality() {
  const quality = session.connectionQuality()?.quality;
  $("quality").hidden = !(quality in QUALITY);
  $("quality").dataset.quality = quality;
  $("quality").textContent = QUALITY[quality] ?? "";
}

function addCaption(text) {
  const line = document.createElement("p");
  line.textContent = text;
  $("captions").append(line);
  while ($("captions").children.length > CAPTIONS) $("captions").firstChild.remove();
}

function showSpeaking(who, speaking) {
  $(who).dataset.speaking = speaking;
  $(who).querySelector(".does").textContent = speaking ? "speaking" : paused ? "paused" : who === "rep" && !talk.heard ? "muted" : "silent";
}

async function showMicrophones() {
  const found = (await session.listMicrophones()).filter(({ label }) => label);
  $("microphone").replaceChildren(...found.map(({ deviceId, label }) => new Option(label, deviceId)));
  $("microphones").hidden = found.length < 2;
}

function asClock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// --- what people do ------------------------------------------------------------------------------

$("start").addEventListener("click", start);
$("practise-again").addEventListener("click", again);
$("cancel").addEventListener("click", ready);
$("end").addEventListener("click", () => session.disconnect());
$("pause").addEventListener("click", ({ target }) => {
  if (target.getAttribute("aria-pressed") === "true") session.resume();
  else session.pause();
});
$("caption").addEventListener("click", ({ target }) => {
  const wanted = target.getAttribute("aria-pressed") !== "true";
  target.setAttribute("aria-pressed", wanted);
  $("captions").hidden = !wanted;
});
$("resume-audio").addEventListener("click", async () => {
  await session.resumeAudio();
  $("resume-audio").hidden = true;
  trouble("");
});
$("microphone").addEventListener("change", ({ target }) => {
  session.setMicrophone(target.value).then(() => trouble(""), () => {}); // what failed came as an `error` event
});
navigator.mediaDevices?.addEventListener("devicechange", () => {
  if (onCall()) showMicrophones();
});

// a token that the training site sends to show what this rep was asked for; it starts no call
host.onRepToken((token) => showAssigned(token, drill, [$("assigned")], AbortSignal.timeout(15_000)));

if (ticket) follower();
else ready();
