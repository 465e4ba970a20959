/** How the line does, over the last five seconds. */
export interface ConnectionQuality {
  /** `lost`: no sound arrives; the session is reconnecting. */
  quality: "good" | "fair" | "poor" | "lost";
  /** Missing where the browser does not know it yet. */
  roundTripMs?: number;
  jitterMs: number;
  /** Of the sound that should have come, 0 to 100. */
  lossPercent: number;
  /** The sound takes the way over a TURN server. */
  relayed: boolean;
}

/** What the browser counted so far on one connection. */
export interface LineStats {
  packets: number;
  lost: number;
  jitterMs: number;
  roundTripMs?: number | undefined;
  relayed: boolean;
}

const WINDOW = 20; // looks, a quarter of a second apart

/** Pure: what was counted, in the order it was counted, to a verdict. */
export class QualityWindow {
  readonly #looks: LineStats[] = [];

  observe(stats: LineStats): void {
    this.#looks.push(stats);
    if (this.#looks.length > WINDOW) this.#looks.shift();
  }

  verdict(audible: boolean): ConnectionQuality {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    const lost = Math.max(0, (last?.lost ?? 0) - (first?.lost ?? 0));
    const heard = (last?.packets ?? 0) - (first?.packets ?? 0);
    const lossPercent = lost + heard > 0 ? (100 * lost) / (lost + heard) : 0;
    const { jitterMs = 0, roundTripMs, relayed = false } = last ?? {};
    const quality = audible ? grade(lossPercent, jitterMs, roundTripMs ?? 0) : "lost";
    return { quality, jitterMs, lossPercent, relayed, ...(roundTripMs !== undefined && { roundTripMs }) };
  }
}

/** The limits are where a conversation begins to suffer (ITU-T G.114 for the delay), and where it breaks up. */
function grade(lossPercent: number, jitterMs: number, roundTripMs: number): "good" | "fair" | "poor" {
  if (lossPercent > 8 || jitterMs > 100 || roundTripMs > 800) return "poor";
  if (lossPercent > 2 || jitterMs > 40 || roundTripMs > 300) return "fair";
  return "good";
}
