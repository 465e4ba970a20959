// Who may hear the rep: mute, and press-to-talk for noisy rooms.

const TYPING = "button, select, summary, input, textarea, a[href]"; // there the space bar has its own meaning

export class Talk {
  #parts;
  #onChange;
  #session;
  #muted = false;
  #pressing = false;
  #byPress = false;

  /** `parts`: the buttons `mute`, `mode` (press-to-talk on or off) and `hold`. `onChange`: see `heard`. */
  constructor(parts, onChange) {
    this.#parts = parts;
    this.#onChange = onChange;
    parts.mute.addEventListener("click", () => this.#set({ muted: !this.#muted }));
    parts.mode.addEventListener("click", () => this.#set({ byPress: !this.#byPress, muted: false }));
    parts.hold.addEventListener("pointerdown", (event) => {
      parts.hold.setPointerCapture(event.pointerId);
      this.#press(true);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) parts.hold.addEventListener(end, () => this.#press(false));
    document.addEventListener("keydown", (event) => this.#onKey(event, true));
    document.addEventListener("keyup", (event) => this.#onKey(event, false));
    window.addEventListener("blur", () => this.#press(false)); // the key may come up elsewhere
  }

  /** While the call is paused nobody is heard, whatever is pressed. */
  pause(paused) {
    this.#press(false);
    for (const part of Object.values(this.#parts)) part.disabled = paused;
  }

  /** For a call that begins: heard, and as the rep last chose. */
  start(session) {
    this.#session = session;
    this.#set({ muted: false, pressing: false });
  }

  stop() {
    this.#session = undefined;
    this.#pressing = false;
  }

  get heard() {
    return this.#byPress ? this.#pressing : !this.#muted;
  }

  #onKey(event, down) {
    const { target, key, repeat } = event;
    if (this.#session === undefined || !this.#byPress) return;
    const onHold = target === this.#parts.hold && (key === " " || key === "Enter");
    if (!onHold && (key !== " " || target.closest?.(TYPING))) return;
    event.preventDefault(); // the page would scroll, the button click
    if (!repeat) this.#press(down);
  }

  #press(pressing) {
    if (this.#session !== undefined && this.#byPress && pressing !== this.#pressing) this.#set({ pressing });
  }

  #set({ muted = this.#muted, byPress = this.#byPress, pressing = false }) {
    const usedPress = this.#byPress;
    this.#muted = muted;
    this.#byPress = byPress;
    this.#pressing = pressing;
    if (muted) this.#session?.mute();
    else this.#session?.unmute();
    if (byPress) this.#session?.pressToTalk(pressing); // letting go ends the turn on the server
    else if (usedPress) this.#session?.pressToTalk(null);
    this.#show();
    this.#onChange();
  }

  #show() {
    const { mute, mode, hold } = this.#parts;
    mute.hidden = this.#byPress;
    mute.setAttribute("aria-pressed", this.#muted);
    mute.textContent = this.#muted ? "Unmute" : "Mute";
    mode.setAttribute("aria-pressed", this.#byPress);
    hold.hidden = !this.#byPress;
    hold.dataset.pressing = this.#pressing;
    hold.firstChild.textContent = this.#pressing ? "You are heard " : "Hold to talk ";
  }
}
