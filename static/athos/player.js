// The recording and what points into it: quotes and lines play their own second.

/** Ties the player inside `root` to its `data-seek` buttons and lines. */
export function bindPlayer(root) {
  const audio = root.querySelector("audio");
  if (!audio) return;
  const lines = [...root.querySelectorAll(".transcript li")];
  const follow = root.querySelector("[data-follow]");
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    if (button) playAt(audio, Number(button.dataset.seek), { play: true });
  });
  audio.addEventListener("timeupdate", () => mark(lines, audio, follow?.checked));
  audio.addEventListener("error", () => {
    root.querySelector("[data-player-problem]").hidden = false;
  });
}

/** Goes to a second of the recording; `play` begins there. */
export function playAt(audio, seconds, { play }) {
  audio.currentTime = seconds;
  if (play) audio.play().catch(() => {}); // what is wrong with the sound, the player's own error event tells
}

function mark(lines, audio, follow) {
  const now = audio.currentTime;
  for (const line of lines) {
    const current = !audio.paused && now >= Number(line.dataset.start) && now < Number(line.dataset.end);
    if (current && follow && !line.hasAttribute("aria-current")) reveal(line);
    if (current) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }
}

/** Scrolls the transcript alone: the page stays where it is. */
export function reveal(line) {
  const list = line.parentElement;
  const above = line.getBoundingClientRect().top - list.getBoundingClientRect().top;
  if (above < 0 || above + line.offsetHeight > list.clientHeight) {
    list.scrollTop += above - (list.clientHeight - line.offsetHeight) / 3;
  }
}
