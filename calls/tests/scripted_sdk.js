// In the SDK's place: redeems for real, then does what the test says. Media is tested elsewhere.
export const detectBrowserSupport = () => window.__support ?? { supported: true };

export const AthosRoleplay = {
  create({ token, drillKey, difficulty, apiBase }) {
    const listeners = {};
    const emit = (name, payload) => (listeners[name] ?? []).forEach((callback) => callback(payload));
    let call;
    let over = false;
    const session = {
      emit,
      muted: false,
      on: (name, callback) => (listeners[name] ??= []).push(callback),
      async connect() {
        emit("connecting");
        if (window.__refusal) throw Object.assign(new Error("refused"), { name: "AthosRoleplayError", code: window.__refusal });
        const redeem = fetch(`${apiBase}/api/external/v1/roleplay/session`, {
          method: "POST",
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
          body: JSON.stringify({ drillKey, difficulty }),
        });
        const response = await redeem.catch((cause) => {
          throw Object.assign(cause, { code: "NETWORK_LOST" });
        });
        call = await response.json();
        if (!response.ok) throw Object.assign(new Error(call.error.message), { name: "AthosRoleplayError", code: call.error.code });
        emit("ready", { persona: call.persona });
      },
      async disconnect() {
        if (over || !call) return;
        over = true;
        emit("ended", { callId: call.callId, durationSec: 37 });
      },
      mute: async () => (session.muted = true),
      unmute: async () => (session.muted = false),
      listMicrophones: async () => [
        { deviceId: "a", label: "Headset" },
        { deviceId: "b", label: "Built-in microphone" },
      ],
      setMicrophone: async (id) => (session.microphone = id),
      resumeAudio: async () => {},
      inputLevel: () => (session.muted ? 0 : 0.6),
      connectionQuality: () => ({ quality: "good" }),
      pressToTalk: async (pressed) => (session.pressed = pressed),
      pause: async () => emit("pause", { paused: true }),
      resume: async () => emit("pause", { paused: false }),
      onPause: (callback) => (listeners.pause ??= []).push(callback),
      onCaption: (callback) => (listeners.caption ??= []).push(callback),
    };
    window.__session = session;
    return session;
  },
};
