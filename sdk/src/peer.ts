import type { Microphone } from "./microphone.js";
import type { LineStats } from "./quality.js";

export interface PeerHandlers {
  onStream: (stream: MediaStream) => void;
  onCandidate: (candidate: RTCIceCandidate) => void;
}

/** One WebRTC connection: the rep's track out, the persona's in. */
export class Peer {
  readonly #connection = new RTCPeerConnection();
  readonly #detach: () => void;

  constructor(microphone: Microphone, handlers: PeerHandlers) {
    this.#connection.ontrack = ({ track }) => handlers.onStream(new MediaStream([track]));
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && candidate.candidate !== "") handlers.onCandidate(candidate);
    };
    const { sender } = this.#connection.addTransceiver(microphone.track, { direction: "sendrecv" });
    this.#detach = microphone.attach(sender);
  }

  /** Without candidates, so it can be made before anybody knows who helps to find them. */
  async offer(): Promise<RTCSessionDescriptionInit> {
    return this.#connection.createOffer();
  }

  /** Begins to look for ways to the server, which are told one by one. */
  async find(offer: RTCSessionDescriptionInit, iceServers: RTCIceServer[]): Promise<void> {
    this.#connection.setConfiguration({ iceServers });
    await this.#connection.setLocalDescription(offer);
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
