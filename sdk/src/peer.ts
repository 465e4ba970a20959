import type { Microphone } from "./microphone.js";
import type { LineStats } from "./quality.js";

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

  async stats(): Promise<LineStats> {
    return summary(await this.#connection.getStats());
  }

  close(): void {
    this.#detach();
    this.#connection.ontrack = null;
    this.#connection.onicecandidate = null;
    this.#connection.close();
  }
}

type Report = RTCStats &
  Partial<RTCInboundRtpStreamStats & RTCIceCandidatePairStats> & { candidateType?: string; roundTripTime?: number };

/** Firefox names no round trip of the pair, but has the one that the far side reported. */
function summary(reports: RTCStatsReport): LineStats {
  const all = [...reports.values()] as Report[];
  const inbound = all.find(({ type }) => type === "inbound-rtp");
  const pair = all.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
  const local = all.find(({ id }) => id === pair?.localCandidateId);
  const seconds = pair?.currentRoundTripTime ?? all.find(({ type }) => type === "remote-inbound-rtp")?.roundTripTime;
  return {
    packets: inbound?.packetsReceived ?? 0,
    lost: inbound?.packetsLost ?? 0,
    jitterMs: 1000 * (inbound?.jitter ?? 0),
    roundTripMs: seconds === undefined ? undefined : 1000 * seconds,
    relayed: local?.candidateType === "relay",
  };
}
