import { AthosRoleplayError } from "./errors.js";

/** The persona's voice: an `<audio>` element of our own, out of sight. */
export class Playback {
  readonly #element = document.createElement("audio");

  constructor(stream: MediaStream, onBlocked: (error: AthosRoleplayError) => void) {
    this.#element.autoplay = true;
    this.#element.hidden = true;
    this.#element.srcObject = stream;
    document.body.append(this.#element);
    this.resume().catch(onBlocked);
  }

  /** Rejects with `AUDIO_PLAYBACK_BLOCKED` while the browser wants a click first. */
  async resume(): Promise<void> {
    try {
      await this.#element.play();
    } catch (cause) {
      if (cause instanceof Error && cause.name === "AbortError") return; // stopped meanwhile
      throw new AthosRoleplayError("AUDIO_PLAYBACK_BLOCKED", undefined, { cause });
    }
  }

  stop(): void {
    this.#element.srcObject = null;
    this.#element.remove();
  }
}
