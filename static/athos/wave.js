// The picture of a recording: two channels from peaks that the server made, and what points into it.
import WaveSurfer from "../built/dashboard/wavesurfer.esm.js";

const LOUDEST = 255;
const MARK = 26; // px, a button with its gap: near ones stand below each other

/**
 * Draws into `box`, tied to `audio`. `turns` (start, end, isRep) become bars below, `places` (seconds, clock, title,
 * verdict) buttons that play their second.
 */
export function drawWave(box, audio, { peaks, turns, places, nonce }) {
  box.hidden = false;
  const colours = getComputedStyle(box);
  const draw = (duration) => {
    WaveSurfer.create({
      container: box.querySelector("[data-wave-picture]"),
      media: audio,
      peaks: peaks.map((side) => side.map((loud) => loud / LOUDEST)),
      duration,
      height: 44,
      normalize: true,
      cspNonce: nonce,
      cursorColor: colours.getPropertyValue("--text"),
      splitChannels: ["--accent", "--soft"].map((name) => ({
        waveColor: colours.getPropertyValue(name),
        progressColor: colours.getPropertyValue("--text"),
      })),
    });
    bars(box.querySelector("[data-wave-turns]"), turns, duration);
    const apart = mark(box.querySelector("[data-wave-marks]"), places, duration);
    new ResizeObserver(apart).observe(box.querySelector("[data-wave-picture]"));
  };
  if (audio.duration) draw(audio.duration);
  else audio.addEventListener("loadedmetadata", () => draw(audio.duration), { once: true });
}

function bars(row, turns, duration) {
  for (const turn of turns) {
    const bar = document.createElement("span");
    bar.className = turn.isRep ? "rep" : "persona";
    bar.style.left = `${(100 * turn.start) / duration}%`;
    bar.style.width = `${(100 * (turn.end - turn.start)) / duration}%`;
    row.append(bar);
  }
}

/** Puts a button for each place into the row; the function returned keeps them apart at its width. */
function mark(row, places, duration) {
  const buttons = places.map((place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.seek = place.seconds;
    button.dataset.verdict = place.verdict;
    button.style.left = `${(100 * place.seconds) / duration}%`;
    button.title = `${place.clock} ${place.title}`;
    button.setAttribute("aria-label", `Play ${place.title} at ${place.clock}`);
    row.append(button);
    return button;
  });
  return () => {
    const lines = linesOf(places.map((place) => (row.clientWidth * place.seconds) / duration));
    row.style.height = `${MARK * (1 + Math.max(0, ...lines))}px`;
    buttons.forEach((button, n) => (button.style.top = `${MARK * lines[n]}px`));
  };
}

/** For each place (px from the left) the first line, from 0, where it touches no earlier one. */
function linesOf(places) {
  const last = [];
  const lines = new Array(places.length);
  for (const n of [...places.keys()].sort((a, b) => places[a] - places[b])) {
    const free = last.findIndex((place) => places[n] - place >= MARK);
    lines[n] = free < 0 ? last.length : free;
    last[lines[n]] = places[n];
  }
  return lines;
}
