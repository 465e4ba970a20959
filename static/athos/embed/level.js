// How loud a microphone is, for a meter. Nothing is kept or sent.

const EVERY_MS = 60;
const QUIETEST_DB = -60; // the left end of the meter
const LOUDEST_DB = -12; // the right end
export const HEARD = 0.3; // of the meter: clearly a voice, not the room

/** 0 (silence) to 1 (loud) for samples of -1 to 1, on a scale of loudness as people hear it. */
export function levelOf(samples) {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  const decibels = 10 * Math.log10(power / samples.length + 1e-12);
  return Math.min(1, Math.max(0, (decibels - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)));
}

/** Reads the stream's level several times a second until the signal aborts. */
export function watchLevel(stream, context, onLevel, signal) {
  const source = context.createMediaStreamSource(stream);
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(levelOf(samples));
  }, EVERY_MS);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    source.disconnect();
  }, { once: true });
}

/** Shows a level of 0 to 1. */
export function showLevel(meter, level) {
  const percent = Math.round(100 * level);
  meter.setAttribute("aria-valuenow", percent);
  meter.firstElementChild.style.setProperty("--level", level.toFixed(2));
}
