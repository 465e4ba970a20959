// The least that makes a call with buttons of your own. What the page says is yours; the call is the SDK's.
import { AthosRoleplay } from "{{ATHOS_URL}}/sdk/useathos-sdk.js";

const [start, mute, end, state] = ["start", "mute", "end", "state"].map((id) => document.getElementById(id));
let session;

function show(text, onCall) {
  state.textContent = text;
  start.hidden = onCall;
  mute.hidden = end.hidden = !onCall;
}

start.onclick = async () => {
  show("Connecting…", true);
  const { token } = await (await fetch("/token", { method: "POST" })).json(); // our backend, which knows who this is
  session = AthosRoleplay.create({ token, drillKey: "ma-full-sale", apiBase: "{{ATHOS_URL}}" });
  session.on("ready", ({ persona }) => show(`You are talking to ${persona.name}.`, true));
  session.on("reconnecting", () => show("The line is bad. One moment…", true));
  session.on("reconnected", () => show("You are back on the call.", true));
  session.on("error", ({ code, message }) => (state.textContent = `${message} (${code})`));
  session.on("ended", ({ callId, durationSec }) => show(`${callId} took ${durationSec} s. The score comes by webhook.`, false));
  await session.connect().catch(({ message }) => show(message, false)); // it came as an `error` event, too
};
mute.onclick = () => {
  const muted = mute.getAttribute("aria-pressed") !== "true";
  mute.setAttribute("aria-pressed", muted);
  return muted ? session.mute() : session.unmute();
};
end.onclick = () => session?.disconnect();
