// The picture of a recording: two channels from peaks that the server made, and what points into it.
import WaveSurfer from "../built/dashboard/wavesurfer.esm.js";

const LOUDEST = 255;

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
    mark(box.querySelector("[data-wave-marks]"), places, duration);
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

function mark(row, places, duration) {
  for (const place of places) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.seek = place.seconds;
    button.dataset.verdict = place.verdict;
    button.style.left = `${(100 * place.seconds) / duration}%`;
    button.title = `${place.clock} ${place.title}`;
    button.setAttribute("aria-label", `Play ${place.title} at ${place.clock}`);
    row.append(button);
  }
}
