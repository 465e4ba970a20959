// The rep's page: ready, connecting, live, scoring, scored, or failed.
import { AthosRoleplay, detectBrowserSupport } from "/sdk/useathos-sdk.js";
import { bindPlayer } from "../player.js";
import { Host } from "./host.js";
import { follow, scorecard, TicketOver } from "./progress.js";
import { SilenceGuard } from "./silence.js";
import { kept, watchRedeem } from "./ticket.js";

const $ = (id) => document.getElementById(id);
const page = $("page");
const { drill, difficulty, filters, parents } = page.dataset;
const host = new Host(parents ? parents.split(" ") : []);

const UNSUPPORTED = {
  safari: "Safari is not supported yet. Please use Chrome, Edge or Firefox on a computer.",
  mobile: "Calls need a computer. Please open this page in Chrome, Edge or Firefox there.",
  unknown: "This browser is not supported. Please use Chrome, Edge or Firefox on a computer.",
};
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
const UNSCORED = {
  NEVER_CONNECTED: "The call was never connected, so there is nothing to score.",
  REP_NEVER_SPOKE: "We did not hear you on the call, so there is nothing to score. Check your microphone before the next one.",
  SCORING_INCOMPLETE: "Your call was recorded, but it could not be scored. The people who run your training site were told.",
};

let session; // of the SDK; one per call
let life = new AbortController(); // what the page waits for in its present state
let ticket = kept.ticket;
let clock;

const guard = new SilenceGuard($("still-there"), $("still-there-left"), () => session?.disconnect());

watchRedeem((fresh) => {
  ticket = fresh;
  kept.keep(fresh);
});

// --- states --------------------------------------------------------------------------------------

function show(state, words = "") {
  for (const section of page.querySelectorAll("[data-state]")) section.hidden = section.dataset.state !== state;
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
  const support = detectBrowserSupport(navigator.userAgent);
  if (!support.supported) return fail("This browser cannot make the call", UNSUPPORTED[support.reason], "", false);
  if (!host.framed) return fail("Open this from your training site", "The page works inside your training site, which says who you are.", "", false);
  if (!drill) return fail("No practice was chosen", "The address of this page names no drill. Tell the people who run your training site.", "", false);
  show("ready");
}

async function start() {
  const signal = newLife();
  ticket = undefined;
  kept.forget();
  $("connecting-text").textContent = "Asking your training site for permission…";
  show("connecting", "Connecting");
  try {
    const token = await host.token(signal);
    $("connecting-text").textContent = "Allow the microphone when your browser asks. Then we connect you.";
    session = makeSession(token);
    signal.addEventListener("abort", () => session.disconnect(), { once: true });
    await session.connect();
  } catch (cause) {
    if (cause.name === "AbortError") return;
    kept.forget();
    fail("The call did not start", ADVICE[cause.code] ?? cause.message, cause.code);
  }
}

function makeSession(token) {
  const made = AthosRoleplay.create({
    token,
    drillKey: drill,
    difficulty,
    filters: Object.fromEntries(new URLSearchParams(filters)),
    apiBase: location.origin,
  });
  made.on("ready", ({ persona }) => goLive(persona.name));
  made.on("personaSpeaking", ({ speaking }) => showSpeaking("persona", speaking));
  made.on("userSpeaking", ({ speaking }) => {
    showSpeaking("rep", speaking);
    if (speaking) guard.heard();
  });
  made.on("reconnecting", () => trouble("The line is bad. Reconnecting…"));
  made.on("reconnected", () => trouble(""));
  made.on("error", ({ code, message }) => callTrouble(code, message));
  made.on("ended", (end) => callEnded(end));
  return made;
}

function goLive(name) {
  $("persona-name").textContent = name;
  $("persona-initials").textContent = name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("");
  setMuted(false);
  trouble("");
  $("resume-audio").hidden = true;
  for (const who of ["persona", "rep"]) showSpeaking(who, false);
  show("live", `You are connected with ${name}.`);
  const since = Date.now();
  clock = setInterval(() => ($("timer").textContent = asClock((Date.now() - since) / 1000)), 250);
  guard.start();
  showMicrophones();
}

function callEnded({ callId, durationSec }) {
  clearInterval(clock);
  guard.stop();
  host.tell({ type: "athos:ended", callId, durationSec });
  if (onCall()) follower(); // a call that never became live ends in `start`
}

/** From the end of the call to its scorecard, also after a reload. */
async function follower() {
  const signal = newLife();
  $("scoring-problem").hidden = true;
  showSteps("live");
  show("scoring", "The call is over and is being scored.");
  try {
    const state = await follow(ticket, { onState: showProgress, onTrouble: () => scoringTrouble("No answer from the server. Trying again…"), signal });
    if (state.stage === "failed") return fail("There is no score for this call", UNSCORED[state.reason] ?? UNSCORED.SCORING_INCOMPLETE, state.reason);
    await showResult(state, signal);
  } catch (cause) {
    if (signal.aborted) return;
    kept.forget();
    if (cause instanceof TicketOver) return fail("This result is no longer shown here", "You find it on your training site.", "");
    fail("The result could not be shown", "Load this page again to see it.", "");
  }
}

async function showResult(state, signal) {
  const html = await scorecard(ticket, signal);
  $("result").innerHTML = html;
  bindPlayer($("result"));
  $("scored-facts").textContent = [state.drillTitle, `with ${state.persona.name}`, state.difficulty, asClock(state.durationSec)].join(" · ");
  show("scored", `Your result is here: ${state.scorecard.overallScore} of 100 points.`);
}

function fail(title, text, code = "", again = true) {
  clearInterval(clock);
  guard.stop();
  $("failed-title").textContent = title;
  $("failed-text").textContent = text;
  $("failed-code").textContent = code ? `Code for support: ${code}` : "";
  $("failed-code").hidden = !code;
  page.querySelector('[data-state="failed"] .buttons').hidden = !again;
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

function onCall() {
  return !page.querySelector('[data-state="live"]').hidden;
}

function scoringTrouble(text) {
  $("scoring-problem").textContent = text;
  $("scoring-problem").hidden = false;
}

function trouble(text) {
  $("live-problem").textContent = text;
  $("live-problem").hidden = !text;
}

/** Errors in the middle of a call; those of `connect` reject it as well. */
function callTrouble(code, message) {
  if (!onCall()) return;
  if (code === "AUDIO_PLAYBACK_BLOCKED") $("resume-audio").hidden = false;
  trouble(code === "MIC_DEVICE_DISCONNECTED" ? "Your microphone is gone. Choose another one, or plug it in again." : message);
}

function showSpeaking(who, speaking) {
  $(who).dataset.speaking = speaking;
  $(who).querySelector(".does").textContent = speaking ? "speaking" : "silent";
}

function setMuted(muted) {
  $("mute").setAttribute("aria-pressed", muted);
  $("mute").textContent = muted ? "Unmute" : "Mute";
  if (muted) session.mute();
  else session.unmute();
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
for (const button of page.querySelectorAll("[data-again]")) button.addEventListener("click", start);
$("cancel").addEventListener("click", ready);
$("end").addEventListener("click", () => session.disconnect());
$("mute").addEventListener("click", () => setMuted($("mute").getAttribute("aria-pressed") !== "true"));
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

if (ticket) follower();
else ready();
