/** Hears whether sound arrives. The server sends a packet every 20 ms, silence included, so a stalled count is a lost line. */
export class PacketWatch {
  #packets = 0;
  #heardAt: number;

  /** Times in milliseconds. A new line counts as heard. */
  constructor(now: number) {
    this.#heardAt = now;
  }

  observe(packets: number, now: number): void {
    if (packets !== this.#packets) this.#heardAt = now;
    this.#packets = packets;
  }

  silentMs(now: number): number {
    return now - this.#heardAt;
  }
}
