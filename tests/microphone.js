// Runs before the page's own scripts: a microphone that says what the test gives it, and a recorder
// of both sides on one clock. Channel 0 is what the rep said, channel 1 what came back as sound.
(() => {
  const RATE = 48_000;
  const context = new AudioContext({ sampleRate: RATE });
  const mouth = context.createMediaStreamDestination();
  const both = context.createChannelMerger(2);
  const chunks = [];
  let began; // clock time of the first sample kept
  const remote = { firstSound: -1, lastSound: -1, utterances: 0, silentSince: 0 };
  const LOUD = 0.004; // RMS of 10 ms

  const worklet = `registerProcessor("keep", class extends AudioWorkletProcessor {
    constructor() { super(); this.mic = new Float32Array(4800); this.ear = new Float32Array(4800); this.fill = 0; }
    process([input]) {
      const mic = input[0], ear = input[1];
      for (let i = 0; i < 128; i++) {
        this.mic[this.fill] = mic ? mic[i] : 0;
        this.ear[this.fill] = ear ? ear[i] : 0;
        if (++this.fill === 4800) {
          this.port.postMessage({ mic: this.mic.slice(), ear: this.ear.slice(), at: currentTime });
          this.fill = 0;
        }
      }
      return true;
    }
  });`;

  const ready = (async () => {
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    const keep = new AudioWorkletNode(context, "keep", { numberOfInputs: 1, channelCount: 2, channelCountMode: "explicit", channelInterpretation: "discrete" });
    keep.port.onmessage = ({ data }) => {
      began ??= data.at - 4672 / RATE; // `at` is the start of the block that filled the 4800
      chunks.push([data.mic, data.ear]);
      for (let start = 0; start < 4800; start += 480) {
        let sum = 0;
        for (let i = start; i < start + 480; i++) sum += data.ear[i] ** 2;
        if (Math.sqrt(sum / 480) < LOUD) continue;
        const at = data.at - (4800 - start) / RATE;
        if (remote.utterances === 0) remote.firstSound = at;
        if (at - remote.lastSound > 0.6) remote.utterances++;
        remote.lastSound = at;
      }
    };
    both.connect(keep);
    keep.connect(context.destination);
    const silence = context.createConstantSource(); // keeps the graph and the microphone running
    silence.offset.value = 0;
    silence.connect(mouth);
    silence.connect(both, 0, 0);
    silence.start();
  })();

  window.tracks = []; // all that were given out
  navigator.mediaDevices.getUserMedia = async () => {
    await context.resume();
    await ready;
    const stream = mouth.stream.clone();
    window.tracks.push(...stream.getTracks());
    return stream;
  };

  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...args) {
      super(...args);
      this.addEventListener("track", ({ track }) => {
        context.createMediaStreamSource(new MediaStream([track])).connect(both, 0, 1);
      });
    }
  };

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
  const base64 = (array) => {
    const data = new Uint8Array(array.buffer);
    let text = "";
    for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
    return btoa(text);
  };

  window.__voice = {
    /** Says a WAV; resolves with its start and end on the clock of the recording. */
    async say(wav) {
      const buffer = await context.decodeAudioData(bytes(wav));
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(mouth);
      source.connect(both, 0, 0);
      const start = context.currentTime + 0.02;
      source.start(start);
      await new Promise((done) => (source.onended = done));
      return { start, end: start + buffer.duration };
    },
    /** As if the browser had ended the track. */
    unplug() {
      const lost = window.tracks.at(-1);
      lost.stop();
      lost.dispatchEvent(new Event("ended"));
    },
    state: () => ({ now: context.currentTime, ...remote }),
    /** Both channels as 16-bit samples, and the clock time of the first. */
    take() {
      const taken = chunks;
      const out = [0, 1].map((channel) => {
        const pcm = new Int16Array(taken.length * 4800);
        taken.forEach((chunk, n) => chunk[channel].forEach((v, i) => (pcm[n * 4800 + i] = Math.max(-1, Math.min(1, v)) * 32767)));
        return base64(pcm);
      });
      return { mic: out[0], ear: out[1], start: began };
    },
  };
})();
