import type { Microphone } from "./microphone.js";

export interface PeerHandlers {
  onStream: (stream: MediaStream) => void;
  onCandidate: (candidate: RTCIceCandidate) => void;
}

/** One WebRTC connection: the rep's track out, the persona's in. */
export class Peer {
  readonly #connection: RTCPeerConnection;
  readonly #detach: () => void;

  constructor(iceServers: RTCIceServer[], microphone: Microphone, handlers: PeerHandlers) {
    this.#connection = new RTCPeerConnection({ iceServers });
    this.#connection.ontrack = ({ track }) => handlers.onStream(new MediaStream([track]));
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && candidate.candidate !== "") handlers.onCandidate(candidate);
    };
    const { sender } = this.#connection.addTransceiver(microphone.track, { direction: "sendrecv" });
    this.#detach = microphone.attach(sender);
  }

  /** Does not wait for candidates: they follow one by one, after this. */
  async offer(): Promise<string> {
    const offer = await this.#connection.createOffer();
    await this.#connection.setLocalDescription(offer);
    return offer.sdp ?? "";
  }

  async accept(sdp: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** What the browser itself noticed; it is slower than counting packets, but sees the way out as well. */
  get broken(): boolean {
    return ["disconnected", "failed", "closed"].includes(this.#connection.connectionState);
  }

  /** Audio packets received so far. */
  async packetsReceived(): Promise<number> {
    let packets = 0;
    (await this.#connection.getStats()).forEach((report: RTCStats & { packetsReceived?: number }) => {
      if (report.type === "inbound-rtp") packets += report.packetsReceived ?? 0;
    });
    return packets;
  }

  close(): void {
    this.#detach();
    this.#connection.ontrack = null;
    this.#connection.onicecandidate = null;
    this.#connection.close();
  }
}
