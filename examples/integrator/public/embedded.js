// All that the iframe needs: a fresh token for each call, from our own backend.
const ATHOS = "{{ATHOS_URL}}";
const frame = document.querySelector("iframe");

addEventListener("message", async ({ source, origin, data }) => {
  if (source !== frame.contentWindow || origin !== ATHOS || data.type !== "athos:token-request") return;
  const response = await fetch("/token", { method: "POST" });
  const body = await response.json();
  const answer = response.ok
    ? { type: "athos:token", token: body.token }
    : { type: "athos:token-refused", message: body.error.message };
  source.postMessage({ ...answer, attempt: data.attempt }, ATHOS);
});
