// A forgotten tab must not hold a line: after five silent minutes we ask, a minute later the call ends.

const QUIET_MS = 5 * 60_000;
const ANSWER_MS = 60_000;

export class SilenceGuard {
  #dialog;
  #left;
  #onGone;
  #quietSince = 0;
  #timer;

  constructor(dialog, left, onGone) {
    this.#dialog = dialog;
    this.#left = left;
    this.#onGone = onGone;
    dialog.addEventListener("close", () => this.heard());
  }

  start() {
    this.stop();
    this.heard();
    this.#timer = setInterval(() => this.#look(), 500);
  }

  stop() {
    clearInterval(this.#timer);
    this.#dialog.close();
  }

  /** The rep spoke, or answered. */
  heard() {
    this.#quietSince = Date.now();
    if (this.#dialog.open) this.#dialog.close();
  }

  #look() {
    const quiet = Date.now() - this.#quietSince;
    if (quiet >= QUIET_MS + ANSWER_MS) {
      this.stop();
      this.#onGone();
    } else if (quiet >= QUIET_MS) {
      this.#left.textContent = Math.ceil((QUIET_MS + ANSWER_MS - quiet) / 1000);
      if (!this.#dialog.open) this.#dialog.showModal();
    }
  }
}
