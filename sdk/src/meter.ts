const SAMPLES = 1_024; // 21 ms at 48 kHz
const QUIETEST_DB = -60;

/** Listens to a track for a level meter. Costs an audio thread, so it is made when first asked. */
export class Meter {
  readonly #context = new AudioContext();
  readonly #analyser = new AnalyserNode(this.#context, { fftSize: SAMPLES });
  readonly #samples = new Float32Array(SAMPLES);
  #source: MediaStreamAudioSourceNode | undefined;
  #track: MediaStreamTrack | undefined;

  /** Follows the track that is given; another one than last time takes its place. */
  level(track: MediaStreamTrack): number {
    if (track !== this.#track) this.#listenTo(track);
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return levelOf(this.#samples);
  }

  /** The strength of one tone in what is heard, in dB. */
  toneDb(track: MediaStreamTrack, hertz: number): number {
    if (track !== this.#track) this.#listenTo(track);
    const bins = new Float32Array(this.#analyser.frequencyBinCount);
    this.#analyser.getFloatFrequencyData(bins);
    return bins[Math.round((hertz * SAMPLES) / this.#context.sampleRate)] ?? -Infinity;
  }

  /** False while the browser waits for a click before it runs any audio. */
  get running(): boolean {
    return this.#context.state === "running";
  }

  /** A tone from the speakers. Returns what ends it. */
  play(hertz: number, gain: number): () => void {
    const tone = new OscillatorNode(this.#context, { frequency: hertz });
    tone.connect(new GainNode(this.#context, { gain })).connect(this.#context.destination);
    tone.start();
    return () => tone.stop();
  }

  close(): void {
    void this.#context.close();
  }

  #listenTo(track: MediaStreamTrack): void {
    this.#track = track;
    this.#source?.disconnect();
    this.#source = new MediaStreamAudioSourceNode(this.#context, { mediaStream: new MediaStream([track]) });
    this.#source.connect(this.#analyser);
    void this.#context.resume(); // not awaited: it may wait for a click
  }
}

/** Root mean square of samples of -1..1, on a scale of decibels: 0 at -60 dB and below, 1 at full scale. */
export function levelOf(samples: Float32Array): number {
  const square = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(square);
  return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DB));
}
