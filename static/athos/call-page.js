import { bindPlayer, playAt, reveal } from "./player.js";
import { drawWave } from "./wave.js";

const AGAIN_MS = 4000, LOOKS = 75; // five minutes
const result = document.querySelector(".result");
if (result) {
  bindPlayer(result);
  const audio = result.querySelector("audio");
  const box = result.querySelector("[data-wave]");
  if (audio && box) {
    drawWave(box, audio, {
      peaks: JSON.parse(document.querySelector("#peaks").textContent),
      turns: spoken(result),
      places: evidence(result),
      nonce: document.querySelector("script[nonce]").nonce,
    });
  }
  lineShow(location.hash);
  const at = Number(new URLSearchParams(location.search).get("at"));
  if (audio && at > 0) playAt(audio, at, { play: false });
}

if (document.querySelector("[data-pending]")) reloadOnceArrived();

/** Looks for the score until it is there. Nobody loses what they type, or the sound that they hear. */
async function reloadOnceArrived() {
  for (let look = 0; look < LOOKS; look++) {
    await new Promise((go) => setTimeout(go, AGAIN_MS));
    const isBusy = document.querySelector("audio")?.paused === false || [...document.querySelectorAll("textarea")].some((field) => field.value);
    if (document.hidden || isBusy) continue;
    const answer = await fetch(location.href).catch(() => null); // offline: looked for again
    if (answer?.ok && !(await answer.text()).includes("data-pending")) return location.reload();
  }
}

/** Brings the line of an address such as #line-3 into view: it scrolls in a box of its own. */
function lineShow(hash) {
  const line = /^#line-\d+$/.test(hash) && document.querySelector(hash);
  if (!line) return;
  const isBeside = matchMedia("(min-width: 861px)").matches; // the transcript stays beside the scorecard
  const held = isBeside ? document.querySelector(".result") : line.closest(".transcript");
  const covered = isBeside ? 80 : document.querySelector(".recording").offsetHeight + 24; // pixels at the top
  window.scrollTo(0, held.getBoundingClientRect().top + window.scrollY - covered);
  reveal(line);
}

/** The quotes of the scorecard: where in the recording they are, and what they prove. */
function evidence(root) {
  return [...root.querySelectorAll(".criteria li")].flatMap((check) => {
    const quote = check.querySelector(".quote[data-seek]");
    if (!quote) return [];
    return {
      seconds: Number(quote.dataset.seek),
      clock: quote.querySelector(".play").textContent.replace("▶", "").trim(),
      title: check.querySelector(".name").textContent,
      verdict: check.dataset.verdict,
    };
  });
}

function spoken(root) {
  return [...root.querySelectorAll(".transcript li")].map((line) => ({
    start: Number(line.dataset.start),
    end: Number(line.dataset.end),
    isRep: line.classList.contains("rep"),
  }));
}
