import { networkLost, type AthosRoleplayError } from "./errors.js";
import type { Microphone } from "./microphone.js";
import { Peer } from "./peer.js";
import { Playback } from "./playback.js";
import { PROTOCOL_VERSION, type ClientMessage, type MessageOf, type ServerMessage } from "./protocol.js";
import { QualityWindow, type ConnectionQuality } from "./quality.js";
import { Signalling } from "./signalling.js";
import { PacketWatch } from "./watchdog.js";
import { abortable, within } from "./waiting.js";

const LOST_MS = 1_500;

/** Where the call is, and the right to join it. Opaque, from redeeming. */
export interface Address {
  connectionUrl: string;
  connectionTicket: string;
  /** Ask for the persona's words as well. */
  captions?: boolean;
}

export interface LineHandlers {
  onMessage: (message: ServerMessage) => void;
  /** The socket ended by itself: `CallOver`, `TakenOver` or an `AthosRoleplayError`. */
  onClosed: (reason: Error) => void;
  onPlaybackBlocked: (error: AthosRoleplayError) => void;
}

/** What was asked of the server at once, and is answered bit by bit. */
interface Asked {
  joined: Promise<MessageOf<"joined">>;
  answer: Promise<MessageOf<"answer">>;
  ready: Promise<MessageOf<"ready">>;
}

/** One try at carrying the call: a socket, a peer connection and its sound. A call may use up several. */
export class Line {
  /** The server has our offer, so it may have moved the call to this line already. */
  offered = false;

  readonly #handlers: LineHandlers;
  readonly #microphone: Microphone;
  #signalling: Signalling | undefined;
  #peer: Peer | undefined;
  #playback: Playback | undefined;
  readonly #quality = new QualityWindow();
  #watch = new PacketWatch(performance.now());

  constructor(microphone: Microphone, handlers: LineHandlers) {
    this.#microphone = microphone;
    this.#handlers = handlers;
  }

  /**
   * Resolves with the persona when sound flows both ways. The server has `joinMs` milliseconds to let us
   * in. Whoever made the line closes it, also after a failure.
   */
  async open(address: Address, joinMs: number, signal: AbortSignal): Promise<{ name: string }> {
    const { peer, offer, asked, iceServers } = await within(joinMs, signal, networkLost, async (limit) => {
      const signalling = await this.#openSocket(address, limit);
      limit.throwIfAborted(); // closed already: open nothing more
      const asked = this.#join(signalling, address, signal);
      const peer = this.#makePeer(signalling);
      const offer = await abortable(peer.offer(), limit);
      this.#offer(signalling, offer);
      const { iceServers } = await abortable(asked.joined, limit);
      return { peer, offer, asked, iceServers };
    });
    await abortable(peer.find(offer, iceServers), signal);
    await abortable(peer.accept((await asked.answer).sdp), signal);
    const { persona } = await asked.ready;
    this.#watch = new PacketWatch(performance.now());
    return persona;
  }

  /** Says something beside the audio. Lost where the socket is away. */
  tell(message: ClientMessage): void {
    this.#signalling?.send(message);
  }

  /** Ends the call on the server. Resolves with nothing: the answer comes through `onClosed`. */
  end(): void {
    this.#signalling?.send({ type: "end" });
  }

  get hasSocket(): boolean {
    return this.#signalling?.closed === false;
  }

  /** Counts what arrived since the last time. */
  async measure(): Promise<void> {
    if (this.#peer === undefined) return;
    const stats = await this.#peer.stats();
    this.#watch.observe(stats.packets, performance.now());
    this.#quality.observe(stats);
  }

  quality(): ConnectionQuality {
    return this.#quality.verdict(this.audible);
  }

  /** Milliseconds without a packet. */
  silentMs(): number {
    return this.#watch.silentMs(performance.now());
  }

  get audible(): boolean {
    return this.silentMs() < LOST_MS && this.#peer?.broken === false;
  }

  async resumeAudio(): Promise<void> {
    await this.#playback?.resume();
  }

  /** No more sound of the persona. */
  hush(): void {
    this.#playback?.stop();
  }

  close(): void {
    this.hush();
    this.#signalling?.close();
    this.#peer?.close();
  }

  async #openSocket(address: Address, signal: AbortSignal): Promise<Signalling> {
    const signalling = await Signalling.open(address.connectionUrl, signal);
    this.#signalling = signalling;
    signalling.onMessage = this.#handlers.onMessage;
    signalling.onClosed = this.#handlers.onClosed;
    return signalling;
  }

  #join(signalling: Signalling, address: Address, signal: AbortSignal): Asked {
    const [joined, answer, ready] = [
      signalling.next("joined", signal),
      signalling.next("answer", signal),
      signalling.next("ready", signal),
    ];
    const { connectionTicket: ticket, captions } = address;
    signalling.send({ type: "join", ticket, version: PROTOCOL_VERSION, ...(captions === true && { captions }) });
    return { joined, answer, ready };
  }

  #makePeer(signalling: Signalling): Peer {
    this.#peer = new Peer(this.#microphone, {
      onStream: (stream) => {
        this.#playback ??= new Playback(stream, this.#handlers.onPlaybackBlocked);
      },
      onCandidate: ({ candidate, sdpMid, sdpMLineIndex }) =>
        signalling.send({ type: "candidate", candidate: { candidate, sdpMid, sdpMLineIndex } }),
    });
    return this.#peer;
  }

  /** While the server still looks at the ticket: it takes one after the other. */
  #offer(signalling: Signalling, offer: RTCSessionDescriptionInit): void {
    this.offered = true;
    signalling.send({ type: "offer", sdp: offer.sdp ?? "" });
  }
}
