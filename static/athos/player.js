// The recording and what points into it: quotes and lines play their own second.

/** Ties the player inside `root` to its `data-seek` buttons and lines. */
export function bindPlayer(root) {
  const audio = root.querySelector("audio");
  if (!audio) return;
  const lines = [...root.querySelectorAll(".transcript li")];
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    if (button) playFrom(audio, Number(button.dataset.seek));
  });
  audio.addEventListener("timeupdate", () => mark(lines, audio));
  audio.addEventListener("error", () => {
    root.querySelector("[data-player-problem]").hidden = false;
  });
}

function playFrom(audio, seconds) {
  audio.currentTime = seconds;
  audio.play().catch(() => {}); // what is wrong with the sound, the player's own error event tells
}

function mark(lines, audio) {
  const now = audio.currentTime;
  for (const line of lines) {
    const current = !audio.paused && now >= Number(line.dataset.start) && now < Number(line.dataset.end);
    if (current) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }
}
