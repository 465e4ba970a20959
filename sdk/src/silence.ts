/** A track of silence, which browsers do send, unlike a track that has ended. */
export interface Silence {
  track: MediaStreamTrack;
  stop: () => void;
}

export function startSilence(): Silence | undefined {
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  const zero = new ConstantSourceNode(context, { offset: 0 }); // without a source no packet leaves
  zero.connect(destination);
  zero.start();
  void context.resume(); // not awaited: it may wait for a click
  const [track] = destination.stream.getAudioTracks();
  return track && { track, stop: () => void context.close() };
}
