// All that the iframe needs: a fresh token for each call, from our own backend.
const ATHOS = "{{ATHOS_URL}}";
const frame = document.querySelector("iframe");
const status = document.getElementById("recorded");

addEventListener("message", ({ source, origin, data }) => {
  if (source !== frame.contentWindow || origin !== ATHOS) return;
  if (data.type === "athos:token-request") handOver(data.attempt);
  if (data.type === "athos:ended" && data.durationSec > 0) waitForScore(data.callId);
});

async function handOver(attempt) {
  frame.contentWindow.postMessage({ ...(await ask()), attempt }, ATHOS);
}

async function ask() {
  try {
    const response = await fetch("/token", { method: "POST" });
    const body = await response.json();
    if (response.ok) return { type: "athos:token", token: body.token };
    return { type: "athos:token-refused", message: body.error.message };
  } catch {
    return { type: "athos:token-refused", message: "Harbor Academy cannot be reached. Try again in a moment." };
  }
}

// The rep reads the result in the iframe. Our own records get it by webhook, at our backend.
function waitForScore(callId) {
  const results = new EventSource(`/events?callId=${encodeURIComponent(callId)}`);
  results.onmessage = ({ data }) => {
    results.close();
    const { event, call } = JSON.parse(data);
    status.textContent = call
      ? `Written into your training record: ${call.score.overallScore} of 100.`
      : (event.reasonMessage ?? "This call has no score.");
  };
}
