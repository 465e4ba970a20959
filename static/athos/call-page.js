import { bindPlayer, playAt } from "./player.js";
import { drawWave } from "./wave.js";

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
  const at = Number(new URLSearchParams(location.search).get("at"));
  if (audio && at > 0) playAt(audio, at, { play: false });
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
