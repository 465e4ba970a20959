// The microphone and the ear of microphone.js for Firefox, where a machine without a sound card runs no
// AudioContext: an <audio> element speaks, and the statistics of the line tell what was heard.
(() => {
  const SILENCE_S = 300; // behind the clip; a call of a test is shorter
  const LOUD = 0.004; // RMS of 100 ms
  const LOOK_MS = 100;
  const remote = { firstSound: -1, lastSound: -1, utterances: 0 };
  const now = () => performance.now() / 1000;
  let mouth, stream, spokenFor, opened;

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  /** The clip's 44 bytes of header say how long it is: what follows them is followed by silence. */
  function wavWithSilence(wav) {
    const header = new DataView(wav.slice(0, 44).buffer);
    const rate = header.getUint32(28, true); // bytes a second
    spokenFor = (wav.length - 44) / rate;
    const size = wav.length - 44 + SILENCE_S * rate;
    header.setUint32(4, 36 + size, true);
    header.setUint32(40, size, true);
    return new Blob([header, wav.slice(44), new Uint8Array(SILENCE_S * rate)], { type: "audio/wav" });
  }

  async function open() {
    mouth = new Audio();
    mouth.src = URL.createObjectURL(wavWithSilence(bytes(window.__clip)));
    mouth.currentTime = spokenFor + 0.5;
    stream = mouth.mozCaptureStream();
    await mouth.play();
    while (stream.getAudioTracks().length === 0) await new Promise((done) => setTimeout(done, 20));
  }

  // Where each sound wants a click, this one does too; the page asks for the microphone a little later.
  addEventListener("click", () => (opened ??= open()), { capture: true, once: true });

  window.tracks = []; // all that were given out
  navigator.mediaDevices.getUserMedia = async () => {
    await (opened ??= open());
    const given = stream.clone();
    window.tracks.push(...given.getTracks());
    return given;
  };

  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...args) {
      super(...args);
      let before = { totalAudioEnergy: 0, totalSamplesDuration: 0 };
      const timer = setInterval(async () => {
        if (this.connectionState === "closed") return clearInterval(timer);
        const inbound = [...(await this.getStats()).values()].find(({ type }) => type === "inbound-rtp");
        if (inbound?.totalSamplesDuration === undefined) return;
        const power = (inbound.totalAudioEnergy - before.totalAudioEnergy) / (inbound.totalSamplesDuration - before.totalSamplesDuration);
        before = inbound;
        if (!(Math.sqrt(power) >= LOUD)) return;
        if (remote.utterances === 0) remote.firstSound = now();
        if (now() - remote.lastSound > 0.6) remote.utterances++;
        remote.lastSound = now();
      }, LOOK_MS);
    }
  };

  window.__voice = {
    /** Says the clip. */
    async say() {
      mouth.currentTime = 0;
      await new Promise((done) => setTimeout(done, 1000 * spokenFor));
    },
    /** What it plays is over, so the browser ends what was captured of it. */
    unplug() {
      opened = undefined;
      mouth.currentTime = mouth.duration - 0.1;
    },
    state: () => ({ now: now(), ...remote }),
  };
})();
